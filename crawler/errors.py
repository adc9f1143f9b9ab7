"""Every exception of the library, in HTTPX's tree and by HTTPX's names.

    HTTPError
      RequestError                      .request
        TransportError
          TimeoutException              ConnectTimeout, ReadTimeout, WriteTimeout, PoolTimeout, TotalTimeout
                                        ReadTimeout: WebSocketTimeout
          NetworkError                  ConnectError, ReadError, WriteError, CloseError
          ProtocolError                 LocalProtocolError (our fault), RemoteProtocolError (the peer's)
          ProxyError
          UnsupportedProtocol
          SSEError
          WebSocketError                WebSocketUpgradeError, WebSocketDisconnect, WebSocketInvalidTypeReceived,
                                        WebSocketNetworkError (a NetworkError, too)
        DecodingError
        ResponseTooLarge
        TooManyRedirects
      HTTPStatusError                   .request, .response
    InvalidURL, CookieConflict          outside HTTPError, as in HTTPX
    StreamError (RuntimeError)          StreamConsumed, StreamClosed, ResponseNotRead, RequestNotRead

Each class carries a `kind`: a short, stable word of a closed list for metrics, grouping and retry rules. A place that
knows more than the class says so (`ConnectError(..., kind="dns_not_found")`); the message is for people.

Nothing of another library (h11, h2, ssl, anyio …) ever reaches the user: it is translated where that library is
called, with the original as `__cause__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsproto.events import Event

    from crawler.models import Request, Response


class HTTPError(Exception):
    """Base of all that can go wrong between building a request and having its response.

    Attributes:
        kind: Stable word for grouping (for example `connect_refused`); see the module's text.
    """

    kind: str = "internal"

    def __init__(self, message: str, *, kind: str | None = None) -> None:
        super().__init__(message)
        self._request: Request | None = None
        if kind is not None:
            self.kind = kind

    @property
    def request(self) -> Request:
        """The request in question; `RuntimeError` where none is known."""
        if self._request is None:
            raise RuntimeError("The .request property has not been set.")
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request


class RequestError(HTTPError):
    """A request could not be brought to its response."""

    def __init__(self, message: str, *, request: Request | None = None, kind: str | None = None) -> None:
        super().__init__(message, kind=kind)
        self._request = request


class TransportError(RequestError):
    """Something failed below HTTP's meaning: network, protocol, proxy, time."""


class TimeoutException(TransportError):
    """A time limit ran out."""

    kind = "timeout_total"


class ConnectTimeout(TimeoutException):
    """No connection in time: name look-up, TCP, proxy and TLS steps together."""

    kind = "timeout_connect"


class ReadTimeout(TimeoutException):
    """The peer sent nothing for the read timeout."""

    kind = "timeout_read"


class WriteTimeout(TimeoutException):
    """The peer took nothing for the write timeout."""

    kind = "timeout_read"


class PoolTimeout(TimeoutException):
    """No free connection in the pool in time."""

    kind = "timeout_connect"


class TotalTimeout(TimeoutException):
    """The deadline over the whole exchange (`Timeout(total=...)`) passed."""

    kind = "timeout_total"


class NetworkError(TransportError):
    """The network failed."""

    kind = "connection_lost"


class ConnectError(NetworkError):
    """No connection: refused, unreachable, unknown host, TLS handshake failed."""

    kind = "connect_refused"


class ReadError(NetworkError):
    """The connection broke while reading."""


class WriteError(NetworkError):
    """The connection broke while writing."""


class CloseError(NetworkError):
    """The connection broke while closing."""


class ProtocolError(TransportError):
    """The protocol was violated."""

    kind = "protocol_error"


class LocalProtocolError(ProtocolError):
    """Our side asked for something the protocol forbids (a line feed in a header, a body shorter than declared)."""


class RemoteProtocolError(ProtocolError):
    """The peer's bytes are not the protocol, or end too soon."""


class ProxyError(TransportError):
    """The proxy refused or failed."""

    kind = "proxy_connect"


class UnsupportedProtocol(TransportError):
    """A URL scheme other than http and https, or none at all."""

    kind = "unsupported_scheme"


class SSEError(TransportError):
    """A stream of server-sent events that is none, or an event over the size limit."""


class WebSocketError(TransportError):
    """Base of what can go wrong with a WebSocket."""

    kind = "protocol_error"


class WebSocketUpgradeError(WebSocketError):
    """The server did not make the connection a WebSocket.

    Attributes:
        response: What it answered; its body is not read.
    """

    def __init__(self, response: Response, message: str = "The server did not switch to a WebSocket.") -> None:
        super().__init__(message, request=response.request if response.has_request else None)
        self.response = response


class WebSocketDisconnect(WebSocketError):
    """The WebSocket is closed.

    Attributes:
        code: Why, by RFC 6455 §7.4: 1000 for a normal end, 1005 where the peer gave none.
        reason: The same in words; may be empty.
    """

    kind = "connection_lost"

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        super().__init__(f"The WebSocket was closed with code {code}" + (f": {reason}" if reason else "."))
        self.code = code
        self.reason = reason or ""


class WebSocketInvalidTypeReceived(WebSocketError):
    """A text message was asked for and bytes came, or the other way about.

    Attributes:
        event: The message, an event of wsproto.
    """

    def __init__(self, event: Event) -> None:
        super().__init__(f"Another type of message was expected than a {type(event).__name__}.")
        self.event = event


class WebSocketNetworkError(WebSocketError, NetworkError):
    """The connection under the WebSocket broke, or ended without a close."""

    kind = "connection_lost"


class WebSocketTimeout(ReadTimeout, TimeoutError):
    """No message came within the `timeout` of a receive."""


class DecodingError(RequestError):
    """The body does not decode by its `Content-Encoding`."""

    kind = "decode_failed"


class ResponseTooLarge(RequestError):
    """The body is larger than `max_response_size`, or expands beyond the decompression guard."""

    kind = "too_large"


class TooManyRedirects(RequestError):
    """More redirects than `max_redirects`."""

    kind = "redirect_limit"


class HTTPStatusError(HTTPError):
    """`raise_for_status()` met a status outside 2xx.

    Attributes:
        request: What was asked.
        response: What came back.
    """

    def __init__(self, message: str, *, request: Request, response: Response) -> None:
        super().__init__(message)
        self._request = request
        self.response = response


class InvalidURL(Exception):
    """The text is no URL that can be requested."""

    kind = "invalid_url"


class CookieConflict(Exception):
    """Several cookies of that name; say which by domain and path."""


class StreamError(RuntimeError):
    """A body was used against its rules; a bug of the calling program."""


class StreamConsumed(StreamError):
    """The body was read or sent already, and is gone."""

    def __init__(self) -> None:
        super().__init__(
            "The stream of this body was consumed already and cannot be iterated again. "
            "Read it once with read()/aread(), or pass the body as bytes if it must be sent twice."
        )


class StreamClosed(StreamError):
    """The body was closed before it was read."""

    def __init__(self) -> None:
        super().__init__("The stream of this response is closed; read it inside the `with client.stream(...)` block.")


class ResponseNotRead(StreamError):
    """The content of a streaming response was used before `read()`."""

    def __init__(self) -> None:
        super().__init__("This response is streaming and was not read; call read() (or await aread()) first.")


class RequestNotRead(StreamError):
    """The content of a streaming request was used before `read()`."""

    def __init__(self) -> None:
        super().__init__("This request has a streaming body that was not read; call read() (or await aread()) first.")
