"""A TCP proxy that can be cut: what lies between the operator and the API server when the network fails."""

from __future__ import annotations

import asyncio
import contextlib


class Proxy:
    """Forwards connections to a port on loopback until it is cut; `mend` lets new ones through again."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._server: asyncio.Server | None = None
        self._whole = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._whole = True
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Refuse new connections and break the present ones."""
        self._whole = False
        if self._server is not None:
            # asyncio forgets to close what it has accepted and not made a connection of when it closes.
            for listener in self._server.sockets:
                asyncio.get_running_loop().remove_reader(listener.fileno())
            await asyncio.sleep(0.01)
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        if self._server is not None:
            await self._server.wait_closed()
        if self._tasks:
            await asyncio.wait(self._tasks)

    mend = start

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if not self._whole:  # accepted just before the cut
            writer.transport.abort()
            return
        self._tasks.add(task)
        writers = [writer]
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self.target)
                writers.append(back_writer)
                self._writers.add(back_writer)
                if self._whole:
                    await asyncio.gather(self._pump(reader, back_writer), self._pump(back_reader, writer))
        finally:
            for one in writers:  # gone for good before this ends: a loop that stops closes nothing more
                self._writers.discard(one)
                one.transport.abort()
                with contextlib.suppress(OSError):
                    await one.wait_closed()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()
