"""Credentials for some hosts only: whatever a list of URLs or a redirect leads to, no other host sees them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from crawler.client.auth import Auth, AuthFlow, BasicAuth
from crawler.models import URL, Request, Response


class HostAuth(Auth):
    """Authenticates requests to the hosts that match, and no others.

    Args:
        auth: How.
        hosts: Shell patterns for the host's name (`*.example.com`), for name and port (`127.0.0.1:80*`), or for the
            whole origin with its port (`https://api.example.com:443`).
    """

    def __init__(self, auth: Auth, hosts: Sequence[str]) -> None:
        self._auth = auth
        patterns = dict.fromkeys(pattern.lower() for pattern in hosts)
        self._names = frozenset(patterns)  # a job may name thousands of hosts, all of them plainly
        self._globs = tuple(pattern for pattern in patterns if any(sign in pattern for sign in "*?["))

    def permits(self, url: URL) -> bool:
        """Whether a request for `url` gets the credentials."""
        from fnmatch import fnmatchcase

        origin = url.origin
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        names = (origin.host, f"{host}:{origin.port}", f"{origin.scheme}://{host}:{origin.port}")
        if not self._names.isdisjoint(names):
            return True
        return any(fnmatchcase(name, pattern) for pattern in self._globs for name in names)

    def sync_auth_flow(self, request: Request) -> AuthFlow:
        """The flow of the way that counts for the request's host."""
        return self._for(request).sync_auth_flow(request)

    def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
        """The flow of the way that counts for the request's host."""
        return self._for(request).async_auth_flow(request)

    def _for(self, request: Request) -> Auth:
        url = request.url
        if self.permits(url):
            return self._auth
        return BasicAuth(url.username, url.password) if url.userinfo else Auth()
