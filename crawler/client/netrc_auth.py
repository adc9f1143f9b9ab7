"""User names and passwords from a netrc file."""

from __future__ import annotations

import os

from crawler.client.auth import Auth, AuthFlow, basic_header
from crawler.models import Request


class NetRCAuth(Auth):
    """Looks each host up in a netrc file; a host without an entry is asked without credentials.

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
        ascii_host = request.url.raw_host.decode("ascii")
        entry = self._netrc.authenticators(ascii_host if ascii_host in self._netrc.hosts else request.url.host)
        if entry is not None and entry[2]:
            request.headers["Authorization"] = basic_header(entry[0], entry[2])
        yield request
