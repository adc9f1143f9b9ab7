"""User names and passwords from a netrc file."""

from __future__ import annotations

import os

from crawler.client.auth import Auth, AuthFlow, basic_header
from crawler.models import URL, Request


class NetRCAuth(Auth):
    """Looks each host up in a netrc file; a host without an entry is asked without credentials.

    So is each host that a redirect leads to, unless it leads from https to http.

    International names may stand there as people or as machines write them.

    Args:
        file: Path of the file; None for `~/.netrc`.

    Raises:
        FileNotFoundError: There is no such file.
        netrc.NetrcParseError: The file is malformed.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None) -> None:
        import netrc

        self._netrc = netrc.netrc(None if file is None else os.fspath(file))

    def auth_flow(self, request: Request) -> AuthFlow:
        """See `Auth.auth_flow`."""
        request.headers.update(self._header_for(request.url))
        request.extensions["credentials_of"] = self._header_for  # of another host that a redirect leads to
        yield request

    def _header_for(self, url: URL) -> dict[str, str]:
        ascii_host = url.raw_host.decode("ascii")
        entry = self._netrc.authenticators(ascii_host if ascii_host in self._netrc.hosts else url.host)
        if entry is None or not entry[2]:
            return {}
        return {"Authorization": basic_header(entry[0], entry[2])}
