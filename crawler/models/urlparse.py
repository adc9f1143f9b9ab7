"""The one URL parser: text in, canonical components out.

Every decision about a URL (which host to ask the DNS for, what `Host:` and SNI say, which cookies match, whether an
address is allowed) is made from the components found here, so that no second parser can see another host in the text.

    http://user:pass@host.example:8080/path/file?query#fragment
    [scheme][userinfo][   host   ][port][  path  ][query][fragment]

The rules are HTTPX's: RFC 3986 for the structure, the percent-encode sets of the WHATWG URL standard, existing `%xx`
escapes left as they are, hosts lower-case and IDNA-encoded, default ports dropped. Where HTTPX would let through what
no server can be asked for (an empty label, port 0 or 70000, `[` without `]`, a backslash before the host), this parser
refuses.

It never does I/O, and the text it returns is printable ASCII without spaces: nothing in a URL can end a request line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, TypedDict, cast

from crawler.errors import ConnectError, InvalidURL

MAX_URL_LENGTH: Final = 65536
"""Characters of a URL, or of one component given by name; longer is `InvalidURL`."""

MAX_HOST_LENGTH: Final = 253
MAX_LABEL_LENGTH: Final = 63

DEFAULT_PORTS: Final[Mapping[str, int]] = {"ftp": 21, "http": 80, "https": 443, "ws": 80, "wss": 443}
WEB_SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})


class InvalidPort(InvalidURL, ConnectError):
    """A port number outside 1 to 65535.

    The URL is no good (`InvalidURL`), and programs written for HTTPX, which tries it in vain, expect a `ConnectError`.
    """

    kind = "invalid_url"


class Parts(NamedTuple):
    """A URL in canonical components, all printable ASCII.

    Attributes:
        scheme: Lower-case, or "".
        userinfo: Percent-encoded `user` or `user:password`, or "".
        host: Lower-case, IDNA-encoded, IPv6 without brackets, or "".
        port: None where absent or the scheme's default.
        path: Percent-encoded; may be "".
        query: None without "?", else what follows it.
        fragment: None without "#", else what follows it.
    """

    scheme: str
    userinfo: str
    host: str
    port: int | None
    path: str
    query: str | None
    fragment: str | None

    @property
    def netloc(self) -> str:
        """`host` or `host:port`, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query as they go into a request line; at least "/"."""
        path = self.path or "/"
        return path if self.query is None else f"{path}?{self.query}"

    def unparse(self, userinfo: str | None = None) -> str:
        """The URL as text; `userinfo`, if given, stands in for the real one."""
        if userinfo is None:
            userinfo = self.userinfo
        authority = f"{userinfo}@{self.netloc}" if userinfo else self.netloc
        return "".join(
            (
                f"{self.scheme}:" if self.scheme else "",
                f"//{authority}" if authority else "",
                self.path,
                "" if self.query is None else f"?{self.query}",
                "" if self.fragment is None else f"#{self.fragment}",
            )
        )


class Components(TypedDict, total=False):
    """Components given by name, as text not yet checked; None removes the component."""

    scheme: str | None
    userinfo: str | None
    host: str | None
    port: str | None
    path: str | None
    query: str | None
    fragment: str | None


# One match splits any text; every group may be empty, so that it cannot fail (RFC 3986 appendix B).
_URL = re.compile(
    r"(?:(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*):|:(?=//))?"
    r"(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:\#(?P<fragment>.*))?",
    re.DOTALL,
)
_AUTHORITY = re.compile(r"(?:(?P<userinfo>.*)@)?(?P<host>\[.*\]|[^:@]*):?(?P<port>.*)", re.DOTALL)

_COMPONENT = {
    "scheme": re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)?"),
    "userinfo": re.compile(r"[^@]*"),
    "host": re.compile(r"\[.*\]|[^:/?#@]*"),
    "port": re.compile(r".*"),
    "path": re.compile(r"[^?#]*"),
    "query": re.compile(r"[^#]*"),
    "fragment": re.compile(r".*"),
}

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME_LIKE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


def _escape_set(unsafe: str) -> re.Pattern[str]:
    """A pattern for the characters to escape: `unsafe` and whatever is not printable ASCII."""
    return re.compile(f"[^!-~]|[{re.escape(unsafe)}]")


# The WHATWG percent-encode sets; each is the one above and some more. "%" is in none: existing escapes stay.
_ESCAPE_FRAGMENT = _escape_set('"<>`')
_ESCAPE_QUERY = _escape_set('"<>#')
_ESCAPE_PATH = _escape_set('"<>#?`{}')
_ESCAPE_USERINFO = _escape_set('"<>#?`{}/;=@[\\]^|')
_ESCAPE_USER = _escape_set('"<>#?`{}/:;=@[\\]^|')
_ESCAPE_HOST = _escape_set("/:<>?#@[]^")

_IPV4_LIKE = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
# What a name that is looked up and written into `Host:` may consist of (RFC 3986 reg-name without escapes).
_NAME = re.compile(r"[a-z0-9._~!$&'()*+,;=-]+")
_ZONE = re.compile(r"[A-Za-z0-9._~%-]+")


def parse_url(url: str) -> Parts:
    """Split `url` into canonical components.

    Raises:
        InvalidURL: Too long, unprintable characters, or a host, port or path that cannot be.
    """
    _check_text(url)
    return _assemble(_split(url))


def parse_components(base: str | Parts, given: Mapping[str, str | None]) -> Parts:
    """Replace components of `base` (text or parsed) by those `given`, and parse the result.

    Besides the names of `Components`, `given` may have the joint names `netloc`, `raw_path`, `username` and `password`.

    Raises:
        InvalidURL: As `parse_url`; also a component with characters that belong to another one.
    """
    if isinstance(base, str):
        _check_text(base)
        components = _split(base)
    else:
        components = Components(
            scheme=base.scheme,
            userinfo=base.userinfo,
            host=f"[{base.host}]" if ":" in base.host else base.host,
            port=None if base.port is None else str(base.port),
            path=base.path,
            query=base.query,
            fragment=base.fragment,
        )
    changes = _resolve_joint_names(dict(given))
    for name, value in changes.items():
        _check_component(name, value)
    return _assemble(cast("Components", {**components, **changes}))


def escape(text: str, pattern: re.Pattern[str]) -> str:
    """Percent-encode (as UTF-8) what `pattern` finds in `text`.

    Raises:
        InvalidURL: A lone surrogate, which has no UTF-8 form.
    """
    if pattern.search(text) is None:
        return text
    try:
        return pattern.sub(_percent, text)
    except UnicodeEncodeError as exc:
        raise InvalidURL(f"Invalid character in URL, {text[exc.start : exc.end]!r}: it has no UTF-8 form.") from exc


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8"))


def _check_text(text: str, component: str | None = None) -> None:
    if len(text) > MAX_URL_LENGTH:
        raise InvalidURL("URL too long" if component is None else f"URL component {component!r} too long")
    found = _UNPRINTABLE.search(text)
    if found is not None:
        where = "URL" if component is None else f"URL {component} component"
        raise InvalidURL(
            f"Invalid non-printable ASCII character in {where}, {found.group()!r} at position {found.start()}."
        )


def _check_component(name: str, value: str | None) -> None:
    if value is None:
        return
    _check_text(value, name)
    if _COMPONENT[name].fullmatch(value) is None:
        raise InvalidURL(f"Invalid URL component {name!r}")


def _split(url: str) -> Components:
    match = _URL.fullmatch(url)
    assert match is not None  # every group is optional and the last takes any character
    scheme, authority, path, query, fragment = match.groups()
    authority = authority or ""
    if "\\" in authority and (scheme or "").lower() in WEB_SCHEMES:
        # Browsers read it as "/", which ends the host; others read on up to "@". No guess: nobody means such a URL.
        raise InvalidURL(f"Invalid URL: a backslash in {authority.rpartition('@')[2]!r}")
    userinfo, host, port = cast("re.Match[str]", _AUTHORITY.fullmatch(authority)).groups()
    return Components(
        scheme=scheme,
        userinfo=userinfo,
        host=host,
        port=port,
        path=path,
        query=query,
        fragment=fragment,
    )


def _resolve_joint_names(given: dict[str, str | None]) -> dict[str, str | None]:
    """Turn `netloc`, `raw_path`, `username` and `password` into the components they are made of."""
    if "netloc" in given:
        netloc = given.pop("netloc") or ""
        _check_text(netloc, "netloc")
        match = cast("re.Match[str]", _AUTHORITY.fullmatch(netloc))
        if match["userinfo"] is not None:
            raise InvalidURL("Invalid URL component 'netloc'")
        given["host"], given["port"] = match["host"], match["port"]
    if "username" in given or "password" in given:
        username = escape(given.pop("username", None) or "", _ESCAPE_USER)
        password = escape(given.pop("password", None) or "", _ESCAPE_USER)
        given["userinfo"] = f"{username}:{password}" if password else username
    if "raw_path" in given:
        path, mark, query = (given.pop("raw_path") or "").partition("?")
        given["path"], given["query"] = path, query if mark else None
    host = given.get("host")
    if host is not None and ":" in host and not (host.startswith("[") and host.endswith("]")):
        given["host"] = f"[{host}]"
    return given


def _assemble(components: Components) -> Parts:
    scheme = (components.get("scheme") or "").lower()
    userinfo = escape(components.get("userinfo") or "", _ESCAPE_USERINFO)
    host = encode_host(components.get("host") or "", scheme)
    port = _port(components.get("port"), scheme)
    path = _path(components.get("path") or "", scheme, has_authority=bool(userinfo or host or port is not None))
    query, fragment = components.get("query"), components.get("fragment")
    return Parts(
        scheme,
        userinfo,
        host,
        port,
        path,
        None if query is None else escape(query, _ESCAPE_QUERY),
        None if fragment is None else escape(fragment, _ESCAPE_FRAGMENT),
    )


def encode_host(host: str, scheme: str = "http") -> str:
    """The canonical form of a host: lower-case ASCII, IPv6 without its brackets.

    Raises:
        InvalidURL: No host at all can be written so.

    Source: RFC 3986 §3.2.2; RFC 1035 §2.3.4 (lengths); RFC 5891 (IDNA).
    """
    if not host:
        return ""
    if "[" in host or "]" in host:
        return _ipv6(host)
    # Lower case also for the escapes made here: reading the text again must give the same host.
    name = escape(host, _ESCAPE_HOST).lower() if host.isascii() else _idna(host)
    if _IPV4_LIKE.fullmatch(name) is not None:  # after IDNA, which also reads the ideographic full stop as "."
        return _ipv4(name)
    if scheme in WEB_SCHEMES:
        _check_labels(name, host)
    return name


def _idna(host: str) -> str:
    import idna  # some milliseconds at first use, and few hosts need it

    try:
        return idna.encode(host.lower()).decode("ascii")
    except (idna.IDNAError, UnicodeError) as exc:
        raise InvalidURL(f"Invalid IDNA hostname: {host!r}") from exc


def _ipv4(host: str) -> str:
    import ipaddress

    try:
        ipaddress.IPv4Address(host)
    except ipaddress.AddressValueError as exc:
        raise InvalidURL(f"Invalid IPv4 address: {host!r}") from exc
    return host


def _ipv6(host: str) -> str:
    import ipaddress

    inner = host[1:-1]
    try:
        if not (host.startswith("[") and host.endswith("]")):
            raise ipaddress.AddressValueError("brackets do not enclose the address")
        address = ipaddress.IPv6Address(inner)
    except ipaddress.AddressValueError as exc:
        raise InvalidURL(f"Invalid IPv6 address: {host!r}") from exc
    if address.scope_id is not None and _ZONE.fullmatch(address.scope_id) is None:
        raise InvalidURL(f"Invalid IPv6 address: {host!r}")
    return inner


def _check_labels(name: str, written: str) -> None:
    labels = name.removesuffix(".").split(".")  # a trailing dot is the root: a fully qualified name
    if "" in labels:
        raise InvalidURL(f"Invalid host {written!r}: an empty label")
    if len(name) > MAX_HOST_LENGTH + 1 or max(map(len, labels)) > MAX_LABEL_LENGTH:
        raise InvalidURL(f"Invalid host {written!r}: a label over {MAX_LABEL_LENGTH} or over {MAX_HOST_LENGTH} in all")


def is_requestable_host(host: str) -> bool:
    """Whether a canonical host can be looked up and written into a `Host` header."""
    return ":" in host or _NAME.fullmatch(host) is not None


def _port(port: str | None, scheme: str) -> int | None:
    """The port number, None where absent or the default.

    Only ASCII digits count: `int()` would also take "+1", " 1", "1_0" and other scripts' digits.
    """
    if not port:
        return None
    if not (port.isascii() and port.isdigit()):
        raise InvalidURL(f"Invalid port: {port!r}")
    digits = port.lstrip("0") or "0"
    number = int(digits) if len(digits) <= 5 else 65536
    if not 0 < number <= 65535:
        raise InvalidPort(f"Invalid port: {digits[:20]!r} is not in 1 to 65535")
    return None if number == DEFAULT_PORTS.get(scheme) else number


def _path(path: str, scheme: str, *, has_authority: bool) -> str:
    if has_authority:
        if path and not path.startswith("/"):
            raise InvalidURL("For absolute URLs, path must be empty or begin with '/'")
        return escape(remove_dot_segments(path), _ESCAPE_PATH)
    if scheme:
        path = remove_dot_segments(path)
        if path.startswith("//"):
            # Written out, "http:" and "//host" would be read back as a URL with that host (RFC 3986 §3.3).
            raise InvalidURL("URLs without a host cannot have a path starting with '//'")
    elif path.startswith("//"):
        raise InvalidURL("Relative URLs cannot have a path starting with '//'")
    elif path.startswith(":"):
        raise InvalidURL("Relative URLs cannot have a path starting with ':'")
    elif _SCHEME_LIKE.match(path) is not None:
        raise InvalidURL("Relative URLs cannot have a ':' in the first segment of the path")
    return escape(path, _ESCAPE_PATH)


def remove_dot_segments(path: str) -> str:
    """Resolve "." and ".." segments; those above the root vanish.

    `/a/./b/../c` is `/a/c`, `/a/b/..` is `/a/`, `/../c` is `/c`.

    Source: RFC 3986 §5.2.4.
    """
    if "." not in path:
        return path
    segments = path.split("/")
    if "." not in segments and ".." not in segments:
        return path
    output: list[str] = []
    for segment in segments:
        if segment == "..":
            if output and output != [""]:
                output.pop()
        elif segment != ".":
            output.append(segment)
    if segments[-1] in (".", ".."):
        output.append("")
    joined = "/".join(output)
    return joined if joined or not path.startswith("/") else "/"
