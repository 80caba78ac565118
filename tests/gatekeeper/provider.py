"""A provider of external data for both webhooks: the path of its URL says how it answers."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from webhook.server.selfsigned import write_pair

Object = dict[str, Any]


class Service:
    """A provider of external data that wants TLS 1.3 and a client certificate that it knows.

    Args:
        folder: an own one, for its certificate.

    Attributes:
        url: where it listens.
        clients: the serial numbers of the certificates that it was asked with.
    """

    def __init__(self, folder: Path) -> None:
        pair = write_pair(folder)
        self.clients: set[str] = set()
        self._bundle = Path(pair.certificate).read_bytes()
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.load_cert_chain(pair.certificate, pair.key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"https://127.0.0.1:{self._server.server_port}"

    def trust(self, certificate: Path) -> None:
        self._context.load_verify_locations(certificate)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def manifest(self, name: str, path: str = "") -> Object:
        return {
            "apiVersion": "externaldata.gatekeeper.sh/v1beta1",
            "kind": "Provider",
            "metadata": {"name": name},
            "spec": {
                "url": f"{self.url}/{path or name}",
                "timeout": 20,
                "caBundle": base64.b64encode(self._bundle).decode(),
            },
        }


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            peer = self.connection.getpeercert()  # type: ignore[attr-defined]
            service.clients.add(peer["serialNumber"])
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = _answer(self.path.strip("/"), asked)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _answer(path: str, asked: Object) -> tuple[int, bytes]:
    keys = asked["request"]["keys"]
    items: list[Object] = [
        {"key": key, "error": f"no {key}"} if key.startswith("bad") else {"key": key, "value": f"{key}!"}
        for key in keys
        if not key.startswith("unsaid")
    ]
    if path == "odd":
        items = [{"key": key, "value": {"deep": [key, 1, 1.5, None, True]}} for key in keys]
    response: Object = {"idempotent": True, "items": items}
    if path == "down":
        response = {"systemError": "the database is gone"}
    answer = {"apiVersion": asked["apiVersion"], "kind": "ProviderResponse", "response": response}
    if path == "other-version":
        answer["apiVersion"] = "externaldata.gatekeeper.sh/v2"
    if path == "text":
        return 200, b"hello"
    return (500 if path == "broken" else 200), json.dumps(answer).encode()
