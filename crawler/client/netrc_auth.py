"""User names and passwords from a netrc file."""

from __future__ import annotations

import os

from crawler.client.auth import Auth, AuthFlow, basic_header
from crawler.models import Request


class NetRCAuth(Auth):
    """Looks each host up in a netrc file; a host without an entry is asked without credentials.

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
        entry = self._netrc.authenticators(request.url.host)
        if entry is not None and entry[2]:
            request.headers["Authorization"] = basic_header(entry[0], entry[2])
        yield request
