"""The types that arguments may have, by HTTPX's names; usable at run time.

`Auth` and what sends (`AuthTypes`, `ProxyTypes` of transports) are declared in the room that has those classes.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from crawler.models.config import Proxy, Timeout
from crawler.models.cookies import Cookies
from crawler.models.headers import Headers
from crawler.models.query import QueryParams
from crawler.models.url import URL

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

PrimitiveData = str | int | float | bool | None

URLTypes = URL | str

QueryParamTypes = (
    QueryParams
    | Mapping[str, PrimitiveData | Sequence[PrimitiveData]]
    | Sequence[tuple[str, PrimitiveData]]
    | str
    | bytes
)

HeaderTypes = (
    Headers | Mapping[str, str] | Mapping[bytes, bytes] | Sequence[tuple[str, str]] | Sequence[tuple[bytes, bytes]]
)

if TYPE_CHECKING:
    CookieTypes = Cookies | CookieJar | dict[str, str] | list[tuple[str, str]]
else:

    def __getattr__(name):
        """Make `CookieTypes` when it is asked for: it takes `http.cookiejar`, which costs more than all the rest."""
        if name != "CookieTypes":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from http.cookiejar import CookieJar

        return Cookies | CookieJar | dict[str, str] | list[tuple[str, str]]


TimeoutTypes = float | tuple[float | None, float | None, float | None, float | None] | Timeout | None

ProxyTypes = URL | str | Proxy

CertTypes = str | tuple[str, str] | tuple[str, str, str]

RequestContent = str | bytes | Iterable[bytes] | AsyncIterable[bytes]
ResponseContent = str | bytes | Iterable[bytes] | AsyncIterable[bytes]
RequestExtensions = Mapping[str, Any]
ResponseExtensions = Mapping[str, Any]

RequestData = Mapping[str, Any]

FileContent = IO[bytes] | bytes | str
FileTypes = (
    FileContent
    | tuple[str | None, FileContent]
    | tuple[str | None, FileContent, str | None]
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)
RequestFiles = Mapping[str, FileTypes] | Sequence[tuple[str, FileTypes]]
