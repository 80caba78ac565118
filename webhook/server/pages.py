"""Pages: what answers a GET, by its path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from webhook.server.answers import Answer, failure

Page = Callable[[], Awaitable[Answer]]


class Pages:
    """Answers GET requests.

    Args:
        pages: by path.
    """

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages

    async def answer(self, http: web.BaseRequest, began: float) -> Answer:
        """Answer one request, whenever it began."""
        page = self._pages.get(http.path)
        if page is not None and http.method == "GET":
            return await page()
        answer = failure(404, "there is nothing here") if page is None else failure(405, "this is for GET")
        answer.force_close()  # its body isn't read
        return answer
