"""What to change when requests fail: one sentence for each error kind of the closed list."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

# The first pattern that fits wins, so a family's own line stands after its members.
_ADVICE: Final[tuple[tuple[str, str], ...]] = (
    ("invalid_url", "mend the URL in the list; it must be absolute, as https://host/path"),
    ("unsupported_scheme", "only http:// and https:// can be fetched"),
    ("bad_row", "mend that row of the input, or set input.on_bad_row: skip"),
    ("path_invalid", "the file name leaves its folder or is not allowed; set a path for the row"),
    ("robots_*", "the site's robots.txt forbids it; leave the URL out"),
    ("out_of_scope", "the URL lies outside of the scope of the job"),
    ("blocked_address", "the address is not allowed by network.allow / network.deny"),
    ("host_suspended", "the host was given up for this run; `crawler retry` later"),
    ("trap", "the URL grows without end; exclude it"),
    ("dns_not_found", "no such host name; check its spelling"),
    ("dns_*", "the name server did not answer; lower concurrency, or run the same command later"),
    ("connect_refused", "nothing listens there; check host and port, and whether the server is up"),
    ("connect_unreachable", "no route to the host; check the network, a VPN or a proxy"),
    ("connect_reset", "the server drops connections; lower per_host.concurrency"),
    ("timeout_connect", "the server does not answer; check the address, or raise timeout.connect"),
    ("tls_untrusted", "the certificate's authority is not trusted; give it as tls.ca_file"),
    ("tls_expired", "the certificate has expired; the server's owner must renew it"),
    ("tls_hostname", "the certificate is for another host name; check the URL"),
    ("tls_protocol", "no common TLS version or cipher; check that the port speaks TLS"),
    ("timeout_tls", "the TLS handshake hangs; raise timeout.tls, or check that the port speaks TLS"),
    ("proxy_auth", "the proxy wants other credentials; check request.proxy"),
    ("proxy_*", "the proxy refused or failed; check request.proxy"),
    ("protocol_error", "the answer is no valid HTTP; check that the port speaks HTTP, not HTTPS"),
    ("header_too_large", "the answer's head is too large; the server is at fault"),
    ("h2_*", 'HTTP/2 trouble; try http.version: "1.1"'),
    ("timeout_ttfb", "the server takes long to answer; raise timeout.ttfb, or lower concurrency"),
    ("timeout_read", "the server went silent; raise timeout.read, or lower concurrency"),
    ("timeout_total", "it took longer than allowed in all; raise timeout.total"),
    ("too_slow", "the transfer was slower than timeout.min_speed"),
    ("connection_lost", "the connection broke; lower per_host.concurrency, or raise retry.attempts"),
    ("body_incomplete", "the body ended early; raise retry.attempts, or run the same command again later"),
    ("rate_limited", "the server asks to go slower; set per_host.rate or lower per_host.concurrency"),
    ("http_4xx", "the server refuses the request; check URL, credentials and headers"),
    ("http_5xx", "the server failed; run it again later, or raise retry.attempts"),
    ("redirect_limit", "raise redirects.max, or ask for the final URL"),
    ("redirect_*", "the redirects lead nowhere allowed; ask for the final URL"),
    ("too_large", "raise body.max_size"),
    ("content_type", "the content is of another type than checks allow"),
    ("decode_failed", "the body does not match its Content-Encoding; try without http.compression"),
    ("decompression_bomb", "the body expands beyond reason; leave the URL out"),
    ("check_failed", "the answer does not pass the checks of the job; look at the body"),
    ("challenge_page", "the site wants a human; ask its owner for an API"),
    ("checksum_mismatch", "the content is not what the list says; check the sum in the list"),
    ("size_mismatch", "the content is not what the list says; check the size in the list"),
    ("range_mismatch", "the server answers ranges wrongly; fetch with download.resume: false"),
    ("changed_during_resume", "the content changed while it was fetched; run it again"),
    ("disk_full", "free some space; the same command goes on"),
    ("too_many_files", "raise the limit of open files (ulimit -n), or lower concurrency"),
    ("io_error", "the disk refused; check the output folder"),
    ("file_exists", "the file is there already; choose another download.if_exists"),
    ("memory_limit", "lower concurrency or body.memory_limit"),
    ("extract_failed", "the page has no such field; look at the selector"),
    ("bad_payload", "the body is not of the expected form; look at the body and the checks"),
    ("selector_timeout", "a selector or pattern takes too long on this page; make it simpler"),
    ("cancelled", "the same command goes on"),
    ("worker_lost", "the same command goes on"),
    ("deadline", "no turn came in time; raise timeout.queue, concurrency or per_host.rate, then `crawler retry`"),
    ("internal", "a bug in crawler; please report it with this URL"),
)


def advice(kind: str) -> str:
    """Give what to change about errors of `kind`, as one sentence; empty for a kind that is not known."""
    return next((text for pattern, text in _ADVICE if fnmatchcase(kind, pattern)), "")
