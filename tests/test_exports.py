"""The public names: all there, all of this package, and all of HTTPX's among them."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import crawler

_HTTPX = """
    __description__ __title__ __version__ ASGITransport AsyncBaseTransport AsyncByteStream AsyncClient
    AsyncHTTPTransport Auth BaseTransport BasicAuth ByteStream Client CloseError codes ConnectError ConnectTimeout
    CookieConflict Cookies create_ssl_context DecodingError delete DigestAuth get head Headers HTTPError
    HTTPStatusError HTTPTransport InvalidURL Limits LocalProtocolError main MockTransport NetRCAuth NetworkError
    options patch PoolTimeout post ProtocolError Proxy ProxyError put QueryParams ReadError ReadTimeout
    RemoteProtocolError request Request RequestError RequestNotRead Response ResponseNotRead stream StreamClosed
    StreamConsumed StreamError SyncByteStream Timeout TimeoutException TooManyRedirects TransportError
    UnsupportedProtocol URL USE_CLIENT_DEFAULT WriteError WriteTimeout WSGITransport
"""
HTTPX_NAMES = _HTTPX.split()
"""`httpx.__all__` of HTTPX 0.28."""

HTTPX2_NAMES = [
    *("EventSource", "FunctionAuth", "Origin", "SSEError", "ServerSentEvent", "alias_httpx", "query", "websocket"),
]
"""What `httpx2.__all__` of 2.16 adds."""

_OWN = """
    BearerAuth OAuth2ClientCredentials ResponseTooLarge Result Retry TotalTimeout as_completed fetch_all gather
    is_public_address CrawledPage crawl
"""
OWN_NAMES = _OWN.split()
"""What is neither's."""


@pytest.mark.parametrize("name", [*HTTPX_NAMES, *HTTPX2_NAMES, *OWN_NAMES])
def test_the_name_is_public(name: str) -> None:
    """It is there, and listed."""
    assert hasattr(crawler, name)
    assert name in crawler.__all__


@pytest.mark.parametrize("name", crawler.__all__)
def test_the_name_belongs_to_the_package(name: str) -> None:
    """Pickles and reprs name `crawler`, and never a room inside."""
    value = getattr(crawler, name)
    if callable(value):
        assert value.__module__ == "crawler"
        assert value.__name__ == name
        assert pickle.loads(pickle.dumps(value)) is value
        assert value.__doc__


def test_the_list_is_in_order_and_without_repeats() -> None:
    """So that it can be read."""
    assert len(set(crawler.__all__)) == len(crawler.__all__)


def test_nothing_else_is_promised() -> None:
    """What stands in the module beside the list is a room, or private."""
    rooms = {path.stem for path in Path(crawler.__file__).parent.iterdir()}
    beside = {name for name in vars(crawler) if not name.startswith("_")} - set(crawler.__all__)

    assert beside <= rooms
