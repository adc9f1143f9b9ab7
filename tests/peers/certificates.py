"""Certificates for tests: one authority, and servers' contexts that are right or wrong in one point."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from pathlib import Path

import trustme


class Authority:
    """A certificate authority that only tests trust."""

    def __init__(self) -> None:
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)

    @property
    def pem(self) -> bytes:
        """The root certificate."""
        return self._ca.cert_pem.bytes()

    def client_context(self) -> ssl.SSLContext:
        """A context for `verify=` that trusts this authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ca.configure_trust(context)
        return context

    def server_context(
        self, *names: str, alpn: Sequence[str] = (), expired: bool = False, wants_client_certificate: bool = False
    ) -> ssl.SSLContext:
        """A server's context with a certificate for `names` (default: localhost and 127.0.0.1).

        Args:
            alpn: What the server speaks, best first.
            expired: The certificate ended yesterday.
            wants_client_certificate: Refuse clients without a certificate of this authority.
        """
        day = datetime.timedelta(days=1)
        now = datetime.datetime.now(datetime.UTC)
        certificate = self._ca.issue_cert(
            *(names or ("localhost", "127.0.0.1")),
            not_before=now - 3 * day,
            not_after=now - day if expired else now + day,
            key_type=trustme.KeyType.ECDSA,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if wants_client_certificate:
            self._ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def write_server_pem(self, path: Path) -> None:
        """Write key and certificate of a server for localhost into one file, as nginx wants them."""
        self._ca.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))

    def client_certificate(self) -> trustme.LeafCert:
        """A certificate for a client."""
        return self._ca.issue_cert("client@tests.invalid")
