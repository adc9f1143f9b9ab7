"""Names that are made once and never change: the ULID of a run, the fingerprint of a request.

A request's fingerprint is a blake2b-128 over method, canonical URL and body, so the same request has the same name in
every run, on every machine: it is the key of dedupe, of resume and of the record's `id`.
"""

from __future__ import annotations

import os
import re
import time
from hashlib import blake2b
from typing import TYPE_CHECKING

from crawler.errors import InvalidURL
from crawler.models import URL

if TYPE_CHECKING:
    from crawler.fanout.plan import Item

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# Already canonical as far as a fingerprint cares: no parse needed. 0.4 µs against 2 µs and more for a parsed URL.
_CANONICAL = re.compile(r"https?://[a-z0-9][a-z0-9.-]*/[!$&-.0-;=?-Z_a-z~/]*", re.ASCII)


def new_run_id(now: float | None = None, entropy: bytes | None = None) -> str:
    """Make a ULID: 48 bits of milliseconds, 80 random bits, 26 characters that sort by time.

    Args:
        now: Seconds since the epoch; the clock's if not given.
        entropy: Ten bytes; random if not given.
    """
    milliseconds = int((time.time() if now is None else now) * 1000)
    number = milliseconds << 80 | int.from_bytes(os.urandom(10) if entropy is None else entropy, "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def canonical_url(url: str) -> str:
    """Bring a URL to the form under which it is compared: parsed and normalised, without its fragment.

    Text that is no URL stays as it is: it will fail, and once is enough.
    """
    if _CANONICAL.fullmatch(url) is not None and "/." not in url:
        return url
    try:
        parsed = URL(url)
        origin = parsed.origin
    except (InvalidURL, ValueError):
        return url
    user = parsed.userinfo.decode("ascii") + "@" if parsed.userinfo else ""
    return f"{origin.scheme}://{user}{origin.netloc.decode('ascii')}{parsed.raw_path.decode('ascii')}"


def fingerprint(item: Item) -> bytes:
    """Give the sixteen bytes that name a request: blake2b-128 of method, canonical URL and body or `identity`."""
    text = f"{item.method} {canonical_url(item.url)}\n".encode("utf-8", "surrogatepass")
    told_apart_by = item.body if item.identity is None else item.identity
    return blake2b(text if told_apart_by is None else text + told_apart_by, digest_size=16).digest()


def fingerprint_text(fp: bytes) -> str:
    """Write a fingerprint as records show it: `b2:` and 32 hexadecimal digits."""
    return "b2:" + fp.hex()
