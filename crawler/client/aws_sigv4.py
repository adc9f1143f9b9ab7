"""AWS Signature Version 4: each request is signed with a key that never travels.

    canonical request ─sha256─▶ string to sign ─hmac─▶ Authorization: AWS4-HMAC-SHA256 Credential=…, Signature=…
                                                ▲
    secret key ─hmac date, region, service──────┘

Source: AWS Identity and Access Management User Guide, "Create a signed AWS API request" (docs.aws.amazon.com/IAM/
latest/UserGuide/reference_sigv-create-signed-request.html); for S3: Amazon S3 API Reference, "Authenticating Requests:
Using the Authorization Header".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

from crawler.client.auth import Auth, AuthFlow
from crawler.models import Request

if TYPE_CHECKING:
    from datetime import datetime

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNRESERVED: Final = "-_.~"
_SPACES: Final = re.compile(r" +")
_SECRET_HEADERS: Final = ("X-Amz-Security-Token",)


class AwsSigV4Auth(Auth):
    """Signs requests for AWS and for what speaks its dialect (S3-compatible storage, OpenSearch).

    The whole body is read to be signed. Each attempt is signed anew, as a signature holds for a few minutes only.

    Args:
        access_key, secret_key: The key pair.
        region: Like `eu-central-1`.
        service: Like `s3`, `execute-api`, `es`; `s3` has rules of its own for paths and signs the body's hash as a
            header.
        session_token: Of temporary credentials.
        clock: Gives the time in UTC.
    """

    requires_request_body = True

    def __init__(
        self,
        access_key: str,
        secret_key: str,
        region: str,
        service: str,
        *,
        session_token: str | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._access_key = access_key
        self._secret_key = secret_key
        self._region = region
        self._service = service
        self._session_token = session_token
        self._clock = clock or _utc_now

    def auth_flow(self, request: Request) -> AuthFlow:
        """See `Auth.auth_flow`."""
        import hashlib

        now = self._clock()
        payload = hashlib.sha256(request.content).hexdigest()
        headers = request.headers
        headers["X-Amz-Date"] = now.strftime("%Y%m%dT%H%M%SZ")
        if self._session_token is not None:
            headers["X-Amz-Security-Token"] = self._session_token
            request.extensions["secret_headers"] = _SECRET_HEADERS
        if self._service == "s3":
            headers["X-Amz-Content-Sha256"] = payload
        signed = _signed_headers(request)
        names = ";".join(name for name, _ in signed)
        canonical = "\n".join(
            (
                request.method,
                self._path(request),
                _query(request),
                *(f"{name}:{value}" for name, value in signed),
                "",
                names,
                payload,
            )
        )
        scope = f"{now:%Y%m%d}/{self._region}/{self._service}/aws4_request"
        digest = hashlib.sha256(canonical.encode("utf-8")).hexdigest()
        text = "\n".join((_ALGORITHM, headers["X-Amz-Date"], scope, digest))
        signature = _hmac(self._key(f"{now:%Y%m%d}"), text).hex()
        headers["Authorization"] = (
            f"{_ALGORITHM} Credential={self._access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        yield request

    def _key(self, date: str) -> bytes:
        key = f"AWS4{self._secret_key}".encode()
        for part in (date, self._region, self._service, "aws4_request"):
            key = _hmac(key, part)
        return key

    def _path(self, request: Request) -> str:
        """The path as it is signed: S3 takes it as it is sent; all others normalised and encoded once more."""
        path = request.url.raw_path.partition(b"?")[0].decode("ascii") or "/"
        once = quote(unquote_to_bytes(path), safe="/" + _UNRESERVED)
        return once if self._service == "s3" else quote(_normalised(once), safe="/" + _UNRESERVED)


def _utc_now() -> datetime:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def _hmac(key: bytes, text: str) -> bytes:
    import hashlib
    import hmac

    return hmac.new(key, text.encode("utf-8"), hashlib.sha256).digest()


def _signed_headers(request: Request) -> list[tuple[str, str]]:
    """Host, Content-Type and all `X-Amz-*`, by name; others may be changed on the way and would void the signature."""
    values: dict[str, list[str]] = {}
    for name, value in request.headers.multi_items():
        name = name.lower()
        if name in ("host", "content-type") or name.startswith("x-amz-"):
            values.setdefault(name, []).append(_SPACES.sub(" ", value.strip()))
    return [(name, ",".join(values[name])) for name in sorted(values)]


def _query(request: Request) -> str:
    """Parameters sorted by their encoded names and values; one without `=` counts as an empty value."""
    query = request.url.raw_path.partition(b"?")[2].decode("ascii")
    pairs = []
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        # A plus sign stays one: AWS reads it as such, not as a space.
        pairs.append(tuple(quote(unquote_to_bytes(text), safe=_UNRESERVED) for text in (name, value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _normalised(path: str) -> str:
    """The path without dot segments and double slashes (RFC 3986 §6)."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    tail = "/" if kept and path.endswith(("/", "/.", "/..")) else ""
    return "/" + "/".join(kept) + tail
