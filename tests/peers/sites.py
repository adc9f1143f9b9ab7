"""Sites made of a function, for crawls that need no sockets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import crawler
from crawler.models import Request, Response

Answer = Response | str | None


class Site:
    """Answers requests from a table of URLs, or a function; remembers what was asked.

    Attributes:
        asked: URL → times asked for.
        order: URLs in the order in which they were asked for.
    """

    def __init__(self, pages: Mapping[str, Answer] | Callable[[str], Answer]) -> None:
        self._answer = pages if callable(pages) else pages.get
        self.asked: Counter[str] = Counter()
        self.order: list[str] = []

    def __call__(self, request: Request) -> Response:
        url = str(request.url)
        self.asked[url] += 1
        self.order.append(url)
        answer = self._answer(url)
        if answer is None:
            return Response(404)
        if isinstance(answer, str):
            return Response(200, headers={"content-type": "text/html; charset=utf-8"}, content=answer.encode())
        return answer

    def client(self) -> crawler.AsyncClient:
        """A client that asks this site for everything."""
        return crawler.AsyncClient(transport=crawler.MockTransport(self))


def links(*hrefs: str) -> str:
    """A page of links."""
    return "<!doctype html>" + "".join(f'<a href="{href}">x</a>' for href in hrefs)


def redirect(location: str, status: int = 302) -> Response:
    """A redirect."""
    return Response(status, headers={"location": location})
