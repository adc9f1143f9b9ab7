"""Fetch many URLs from Python: fast, politely, resumably.

Three things on one engine: an HTTP client with HTTPX's API (`import crawler as httpx`), a fan-out engine (`gather`,
`as_completed`, `fetch_all`), and jobs in YAML files (`crawler run JOB.yaml`).
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from crawler.client import ASGITransport as ASGITransport
from crawler.client import AsyncBaseTransport as AsyncBaseTransport
from crawler.client import AsyncClient as AsyncClient
from crawler.client import AsyncHTTPTransport as AsyncHTTPTransport
from crawler.client import AsyncWebSocketSession as AsyncWebSocketSession
from crawler.client import Auth as Auth
from crawler.client import BaseTransport as BaseTransport
from crawler.client import BasicAuth as BasicAuth
from crawler.client import BearerAuth as BearerAuth
from crawler.client import Client as Client
from crawler.client import DigestAuth as DigestAuth
from crawler.client import FunctionAuth as FunctionAuth
from crawler.client import HTTPTransport as HTTPTransport
from crawler.client import MockTransport as MockTransport
from crawler.client import NetRCAuth as NetRCAuth
from crawler.client import OAuth2ClientCredentials as OAuth2ClientCredentials
from crawler.client import WebSocketSession as WebSocketSession
from crawler.client import WSGITransport as WSGITransport
from crawler.client import alias_httpx as alias_httpx
from crawler.client import delete as delete
from crawler.client import get as get
from crawler.client import head as head
from crawler.client import options as options
from crawler.client import patch as patch
from crawler.client import post as post
from crawler.client import put as put
from crawler.client import query as query
from crawler.client import request as request
from crawler.client import stream as stream
from crawler.client import websocket as websocket
from crawler.errors import CloseError as CloseError
from crawler.errors import ConnectError as ConnectError
from crawler.errors import ConnectTimeout as ConnectTimeout
from crawler.errors import CookieConflict as CookieConflict
from crawler.errors import DecodingError as DecodingError
from crawler.errors import HTTPError as HTTPError
from crawler.errors import HTTPStatusError as HTTPStatusError
from crawler.errors import InvalidURL as InvalidURL
from crawler.errors import LocalProtocolError as LocalProtocolError
from crawler.errors import NetworkError as NetworkError
from crawler.errors import PoolTimeout as PoolTimeout
from crawler.errors import ProtocolError as ProtocolError
from crawler.errors import ProxyError as ProxyError
from crawler.errors import ReadError as ReadError
from crawler.errors import ReadTimeout as ReadTimeout
from crawler.errors import RemoteProtocolError as RemoteProtocolError
from crawler.errors import RequestError as RequestError
from crawler.errors import RequestNotRead as RequestNotRead
from crawler.errors import ResponseNotRead as ResponseNotRead
from crawler.errors import ResponseTooLarge as ResponseTooLarge
from crawler.errors import SSEError as SSEError
from crawler.errors import StreamClosed as StreamClosed
from crawler.errors import StreamConsumed as StreamConsumed
from crawler.errors import StreamError as StreamError
from crawler.errors import TimeoutException as TimeoutException
from crawler.errors import TooManyRedirects as TooManyRedirects
from crawler.errors import TotalTimeout as TotalTimeout
from crawler.errors import TransportError as TransportError
from crawler.errors import UnsupportedProtocol as UnsupportedProtocol
from crawler.errors import WebSocketDisconnect as WebSocketDisconnect
from crawler.errors import WebSocketError as WebSocketError
from crawler.errors import WebSocketInvalidTypeReceived as WebSocketInvalidTypeReceived
from crawler.errors import WebSocketNetworkError as WebSocketNetworkError
from crawler.errors import WebSocketTimeout as WebSocketTimeout
from crawler.errors import WebSocketUpgradeError as WebSocketUpgradeError
from crawler.errors import WriteError as WriteError
from crawler.errors import WriteTimeout as WriteTimeout
from crawler.models import URL as URL
from crawler.models import USE_CLIENT_DEFAULT as USE_CLIENT_DEFAULT
from crawler.models import AsyncByteStream as AsyncByteStream
from crawler.models import ByteStream as ByteStream
from crawler.models import Cookies as Cookies
from crawler.models import EventSource as EventSource
from crawler.models import Headers as Headers
from crawler.models import Limits as Limits
from crawler.models import Origin as Origin
from crawler.models import Proxy as Proxy
from crawler.models import QueryParams as QueryParams
from crawler.models import Request as Request
from crawler.models import Response as Response
from crawler.models import Retry as Retry
from crawler.models import ServerSentEvent as ServerSentEvent
from crawler.models import SyncByteStream as SyncByteStream
from crawler.models import Timeout as Timeout
from crawler.models import codes as codes
from crawler.net import create_ssl_context as create_ssl_context
from crawler.version import __version__ as __version__


def main() -> None:
    """Run the command line `crawler`; leaves by `SystemExit`."""
    from crawler.cli.main import main as run  # brings typer: only when it is called

    run()


if _TYPE_CHECKING:
    from crawler.fanout import Result as Result
    from crawler.fanout import as_completed as as_completed
    from crawler.fanout import fetch_all as fetch_all
    from crawler.fanout import gather as gather
    from crawler.net.guard import is_public_address as is_public_address
    from crawler.spider.face import CrawledPage as CrawledPage
    from crawler.spider.face import crawl as crawl

__title__ = "crawler"
__description__ = "Fetch many URLs from Python: fast, politely, resumably."

__all__ = [
    "URL",
    "USE_CLIENT_DEFAULT",
    "ASGITransport",
    "AsyncBaseTransport",
    "AsyncByteStream",
    "AsyncClient",
    "AsyncHTTPTransport",
    "AsyncWebSocketSession",
    "Auth",
    "BaseTransport",
    "BasicAuth",
    "BearerAuth",
    "ByteStream",
    "Client",
    "CloseError",
    "ConnectError",
    "ConnectTimeout",
    "CookieConflict",
    "Cookies",
    "CrawledPage",
    "DecodingError",
    "DigestAuth",
    "EventSource",
    "FunctionAuth",
    "HTTPError",
    "HTTPStatusError",
    "HTTPTransport",
    "Headers",
    "InvalidURL",
    "Limits",
    "LocalProtocolError",
    "MockTransport",
    "NetRCAuth",
    "NetworkError",
    "OAuth2ClientCredentials",
    "Origin",
    "PoolTimeout",
    "ProtocolError",
    "Proxy",
    "ProxyError",
    "QueryParams",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "Request",
    "RequestError",
    "RequestNotRead",
    "Response",
    "ResponseNotRead",
    "ResponseTooLarge",
    "Result",
    "Retry",
    "SSEError",
    "ServerSentEvent",
    "StreamClosed",
    "StreamConsumed",
    "StreamError",
    "SyncByteStream",
    "Timeout",
    "TimeoutException",
    "TooManyRedirects",
    "TotalTimeout",
    "TransportError",
    "UnsupportedProtocol",
    "WSGITransport",
    "WebSocketDisconnect",
    "WebSocketError",
    "WebSocketInvalidTypeReceived",
    "WebSocketNetworkError",
    "WebSocketSession",
    "WebSocketTimeout",
    "WebSocketUpgradeError",
    "WriteError",
    "WriteTimeout",
    "__description__",
    "__title__",
    "__version__",
    "alias_httpx",
    "as_completed",
    "codes",
    "crawl",
    "create_ssl_context",
    "delete",
    "fetch_all",
    "gather",
    "get",
    "head",
    "is_public_address",
    "main",
    "options",
    "patch",
    "post",
    "put",
    "query",
    "request",
    "stream",
    "websocket",
]

_LATER = {
    **dict.fromkeys(("Result", "as_completed", "fetch_all", "gather"), "crawler.fanout"),
    "is_public_address": "crawler.net.guard",
    **dict.fromkeys(("CrawledPage", "crawl"), "crawler.spider.face"),
}
"""Names that are imported when first asked for: the engine brings SQLite and more, half as long again as the client."""


def __getattr__(name: str) -> object:
    room = _LATER.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(room), name)
    value.__module__ = "crawler"
    return value


# So that pickles and reprs name the package and not the rooms within.
for _name in __all__:
    if _name not in _LATER and callable(globals()[_name]):
        globals()[_name].__module__ = "crawler"
