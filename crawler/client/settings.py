"""What a client is told once, and how a request is built from it: merging headers, cookies, params, base URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from crawler.client.auth import Auth, AuthTypes, BasicAuth, make_auth
from crawler.client.environment import URLPattern
from crawler.models import (
    URL,
    Cookies,
    Headers,
    HeadTemplate,
    QueryParams,
    Request,
    Response,
    Retry,
    Timeout,
    UseClientDefault,
)
from crawler.models.decoders import accept_encoding
from crawler.version import __version__

if TYPE_CHECKING:
    from crawler.client.worlds import Transport
    from crawler.models.types import (
        CookieTypes,
        HeaderTypes,
        QueryParamTypes,
        RequestContent,
        RequestData,
        RequestExtensions,
        RequestFiles,
        TimeoutTypes,
        URLTypes,
    )

EventHook = Callable[..., Any]

USER_AGENT = f"python-crawler/{__version__}"

# Bodiless requests with these carry no `Content-Length: 0`, so that all their lines are the client's.
_PLAIN_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


class Body:
    """The body arguments of one request, as they were given."""

    __slots__ = ("content", "data", "files", "json")

    def __init__(
        self,
        content: RequestContent | None,
        data: RequestData | None,
        files: RequestFiles | None,
        json: Any,
    ) -> None:
        self.content = content
        self.data = data
        self.files = files
        self.json = json


class Settings:
    """The settings of one client; see `Client` for what each means."""

    def __init__(
        self,
        *,
        auth: AuthTypes | None,
        params: QueryParamTypes | None,
        headers: HeaderTypes | None,
        cookies: CookieTypes | None,
        timeout: TimeoutTypes,
        follow_redirects: bool,
        max_redirects: int,
        event_hooks: Mapping[str, list[EventHook]] | None,
        base_url: URLTypes,
        default_encoding: str | Callable[[bytes], str | None],
        retries: Retry | None,
        max_response_size: int | None,
    ) -> None:
        self.auth = make_auth(auth)
        self.params = QueryParams(params)
        self.set_headers(headers)
        self.cookies = Cookies(cookies)
        self.set_timeout(timeout)
        self.follow_redirects = follow_redirects
        self.max_redirects = max_redirects
        self.set_event_hooks(event_hooks or {})
        self.set_base_url(base_url)
        self.default_encoding = default_encoding
        self.retries = retries
        self.max_response_size = max_response_size
        self.is_closed = False
        self.transport: Transport
        self.mounts: dict[URLPattern, Transport | None] = {}
        self._template: HeadTemplate | None = None
        self._template_of: Headers | None = None
        self._template_version = 0

    # --- setting ---

    def set_headers(self, headers: HeaderTypes | None) -> None:
        """The default headers with `headers` laid over."""
        self.headers = _default_headers()
        self.headers.update(headers)

    def set_base_url(self, url: URLTypes) -> None:
        """Every relative URL is appended to its path, which always ends in a slash; its query behind theirs."""
        base = URL(url)
        path, mark, query = base.raw_path.partition(b"?")
        self.base_url = base if path.endswith(b"/") else base.copy_with(raw_path=path + b"/" + mark + query)
        self.has_base_url = str(url) != ""

    def set_timeout(self, timeout: TimeoutTypes) -> None:
        """The time limits of requests that set none themselves."""
        self.timeout = Timeout(timeout)
        self._timeout_dict = self.timeout.as_dict()

    def set_event_hooks(self, hooks: Mapping[str, list[EventHook]]) -> None:
        """The functions called with each request and each response."""
        self.request_hooks = list(hooks.get("request", []))
        self.response_hooks = list(hooks.get("response", []))

    # --- building ---

    def build_request(
        self,
        method: str,
        url: URLTypes,
        body: Body | None,
        params: QueryParamTypes | None,
        headers: HeaderTypes | None,
        cookies: CookieTypes | None,
        timeout: TimeoutTypes | UseClientDefault,
        extensions: RequestExtensions | None,
    ) -> Request:
        """A request as these settings and its own arguments make it.

        Raises:
            InvalidURL: The URL is none.
        """
        options = self._extensions(timeout, extensions)
        has_own = body is not None or params is not None or headers is not None or cookies is not None
        if not has_own and method in _PLAIN_METHODS and self.is_plain():
            template = self.template()
            if template.host is None:
                return Request.from_template(method, url if isinstance(url, URL) else URL(url), template, options)
        merged_params = self.merge_params(params)
        body = body or Body(None, None, None, None)
        return Request(
            method,
            self.merge_url(url),
            content=body.content,
            data=body.data,
            files=body.files,
            json=body.json,
            params=merged_params,
            headers=self.merge_headers(headers),
            cookies=self.merge_cookies(cookies),
            extensions=options,
        )

    def complete(self, request: Request) -> None:
        """Give a request that was made by hand the client's limits, where it has none of its own."""
        extensions = request.extensions
        extensions.setdefault("timeout", self._timeout_dict)
        if self.max_response_size is not None:
            extensions.setdefault("max_response_size", self.max_response_size)

    def is_plain(self) -> bool:
        """Whether requests get nothing from the client but its headers."""
        return not (self.has_base_url or self.params or self.cookies)

    def template(self) -> HeadTemplate:
        """The client's headers, encoded once and again whenever they have changed."""
        headers = self.headers
        if self._template is None or self._template_of is not headers or self._template_version != headers.version:
            self._template = HeadTemplate(headers)
            self._template_of = headers
            self._template_version = headers.version
        return self._template

    def merge_url(self, url: URLTypes) -> URL:
        """Append a relative URL to the base URL (no RFC 3986 join); leave an absolute one as it is."""
        own = URL(url)
        if not own.is_relative_url or not self.has_base_url:
            return own
        base_path, _, base_query = self.base_url.raw_path.partition(b"?")
        raw_path = base_path + own.raw_path.lstrip(b"/")
        if base_query:
            raw_path += (b"&" if b"?" in raw_path else b"?") + base_query
        return self.base_url.copy_with(raw_path=raw_path)

    def merge_params(self, params: QueryParamTypes | None) -> QueryParamTypes | None:
        """The client's params with the request's laid over; None leaves the URL's query as it is."""
        if params is None and not self.params:
            return None
        return self.params.merge(params)

    def merge_headers(self, headers: HeaderTypes | None) -> Headers:
        """The client's headers with the request's laid over."""
        merged = Headers(self.headers)
        merged.update(headers)
        return merged

    def merge_cookies(self, cookies: CookieTypes | None) -> Cookies:
        """The client's cookies with the request's laid over."""
        if not cookies:
            return self.cookies
        from crawler.models.deprecation import warn_deprecated

        warn_deprecated(
            "Setting per-request cookies=<...> is deprecated, because it is unclear whether they outlive the request. "
            "Set them on the client instead."
        )
        merged = Cookies(self.cookies)
        merged.update(cookies)
        return merged

    def _extensions(
        self, timeout: TimeoutTypes | UseClientDefault, extensions: RequestExtensions | None
    ) -> dict[str, Any]:
        limits = self._timeout_dict if isinstance(timeout, UseClientDefault) else Timeout(timeout).as_dict()
        options: dict[str, Any] = {"timeout": limits}
        if extensions:
            options.update(extensions)
        if self.max_response_size is not None:
            options.setdefault("max_response_size", self.max_response_size)
        return options

    # --- sending ---

    def auth_for(self, request: Request, auth: AuthTypes | UseClientDefault | None) -> Auth | None:
        """The request's own auth (None switches it off), else the client's, else the URL's user name and password."""
        if auth is None:
            return None
        if not isinstance(auth, UseClientDefault):
            return make_auth(auth)
        if self.auth is not None:
            return self.auth
        if request.url.userinfo:
            return BasicAuth(request.url.username, request.url.password)
        return None

    def transport_for(self, url: URL) -> Transport:
        """The transport that the most specific mount names for `url`, else the default one."""
        for pattern, transport in self.mounts.items():
            if pattern.matches(url):
                return self.transport if transport is None else transport
        return self.transport

    def extract_cookies(self, response: Response) -> None:
        """Keep the cookies that a response sets."""
        for name, _ in response.raw_headers:
            if len(name) == 10 and name.lower() == b"set-cookie":  # the length alone rules most out
                self.cookies.extract_cookies(response)
                return


def _default_headers() -> Headers:
    return Headers(
        [
            (b"Accept", b"*/*"),
            (b"Accept-Encoding", accept_encoding().encode("ascii")),
            (b"Connection", b"keep-alive"),
            (b"User-Agent", USER_AGENT.encode("ascii")),
        ]
    )
