"""What a TLS handshake has led to, kept for every response: the connection may be gone when somebody asks."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime

TLS: Final = "crawler.tls"
"""Name of the response extension that holds the `TLSInfo`."""


class TLSInfo:
    """One TLS connection to a server; shared by all responses that came over it.

    Attributes:
        version: As `TLSv1.3`.
        cipher: Name of the cipher suite.
        alpn: Protocol that was agreed on; None if there was no talk of it.
        is_verified: Whether the server's certificate was checked.
    """

    __slots__ = ("_not_after", "alpn", "cipher", "is_verified", "version")

    def __init__(self, connection: Any) -> None:
        """Look at an `ssl.SSLObject` or `ssl.SSLSocket` whose handshake is done."""
        cipher = connection.cipher()
        certificate = connection.getpeercert() or {}  # empty unless it was checked
        self.version: str = connection.version() or ""
        self.cipher: str = cipher[0] if cipher else ""
        self.alpn: str | None = connection.selected_alpn_protocol()
        self.is_verified: bool = connection.context.verify_mode != ssl.CERT_NONE
        self._not_after: str | None = certificate.get("notAfter")

    @property
    def not_after(self) -> datetime | None:
        """When the server's certificate runs out, in UTC; None where it was not checked."""
        if self._not_after is None:
            return None
        from datetime import UTC, datetime

        return datetime.fromtimestamp(ssl.cert_time_to_seconds(self._not_after), UTC)

    def __repr__(self) -> str:
        return f"TLSInfo(version={self.version!r}, cipher={self.cipher!r}, alpn={self.alpn!r})"
