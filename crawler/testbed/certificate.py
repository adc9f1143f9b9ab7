"""A certificate for the testbed's TLS listener, made anew at each start and signed by an authority of its own."""

from __future__ import annotations

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What the listener and its clients need.

    Attributes:
        context: The server's TLS context; offers HTTP/2 and HTTP/1.1 by ALPN.
        ca_pem: The authority's certificate in PEM, for clients to trust.
    """

    context: ssl.SSLContext
    ca_pem: str


def make_certificate(host: str) -> ServerCertificate:
    """Make a certificate for `host`, `localhost`, `127.0.0.1` and `::1`."""
    import trustme  # 60 ms: only with TLS

    authority = trustme.CA(organization_name="crawler testbed")
    names = dict.fromkeys([host, "localhost", "127.0.0.1", "::1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9113 §9.2
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert(*names).configure_cert(context)
    return ServerCertificate(context, authority.cert_pem.bytes().decode("ascii"))
