"""Places that want credentials: `/basic-auth`, `/digest-auth`, `/bearer`.

Digest is checked strictly, so that a client that gets it nearly right is refused: our own nonce, each nonce count once,
the request's own target as `uri`, the algorithm and qop that were offered. Source: RFC 7616; RFC 2617 §3.2.1 for an
absent qop; RFC 7617 (Basic), RFC 6750 (Bearer).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final
from urllib.request import parse_http_list, parse_keqv_list

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crawler.testbed.echo import ALL_METHODS
from crawler.testbed.exchange import BadRequest, body_of, json_response
from crawler.testbed.memory import BoundedDict

REALM: Final = "testbed"
_HASHES: Final = {"MD5": "md5", "SHA": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}
_QOPS: Final = ("auth", "auth-int", "auth,auth-int", "none")


def _refused(challenge: str) -> Response:
    return json_response({"authenticated": False}, 401, {"www-authenticate": challenge})


def _credentials(request: Request, scheme: str) -> str | None:
    """Return what follows the scheme's name in `Authorization`; None without it or with another scheme."""
    name, _, rest = request.headers.get("authorization", "").partition(" ")
    return rest.strip() if name.lower() == scheme else None


async def _basic(request: Request) -> Response:
    user, password = request.path_params["user"], request.path_params["password"]
    try:
        given = base64.b64decode(_credentials(request, "basic") or "", validate=True)
    except binascii.Error:
        given = b""
    if given != f"{user}:{password}".encode():
        return _refused(f'Basic realm="{REALM}", charset="UTF-8"')
    return json_response({"authenticated": True, "user": user})


async def _bearer(request: Request) -> Response:
    token = _credentials(request, "bearer")
    if not token:
        return _refused(f'Bearer realm="{REALM}"')
    return json_response({"authenticated": True, "token": token})


class Digest:
    """`/digest-auth/{qop}/{user}/{password}[/{algorithm}]`; qop is `auth`, `auth-int`, `auth,auth-int` or `none`.

    The algorithm is `MD5` (default), `SHA`, `SHA-256` or `SHA-512`, each also with `-sess`.
    """

    def __init__(self) -> None:
        self._seen_counts: BoundedDict[set[str]] = BoundedDict()  # per nonce that we gave out

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        algorithm = request.path_params.get("algorithm", "MD5").upper()
        qop = request.path_params["qop"]
        if algorithm.removesuffix("-SESS") not in _HASHES:
            raise BadRequest(f"expected an algorithm of {', '.join(_HASHES)}, each also with -sess, got {algorithm}")
        if qop not in _QOPS:
            raise BadRequest(f"expected qop as one of {'; '.join(_QOPS)}, got {qop}")
        text = _credentials(request, "digest")
        if text is None:
            return self._challenge(qop, algorithm)
        fields = _fields(text)
        if not _is_proof(fields, request, qop, algorithm):
            return self._challenge(qop, algorithm)
        if not self._is_fresh(fields):
            return self._challenge(qop, algorithm, stale=True)
        return json_response({"authenticated": True, "user": request.path_params["user"]})

    def _challenge(self, qop: str, algorithm: str, *, stale: bool = False) -> Response:
        nonce = secrets.token_hex(16)
        self._seen_counts[nonce] = set()
        parts = [f'realm="{REALM}"', f'nonce="{nonce}"', f'opaque="{secrets.token_hex(8)}"']
        parts.append(f"algorithm={algorithm.replace('-SESS', '-sess')}")
        if qop != "none":
            parts.append(f'qop="{qop}"')
        if stale:
            parts.append("stale=true")
        return _refused("Digest " + ", ".join(parts))

    def _is_fresh(self, fields: dict[str, str]) -> bool:
        """Accept a nonce of ours, and with it each nonce count once."""
        counts = self._seen_counts.get(fields.get("nonce", ""))
        count = fields.get("nc", "")
        if counts is None or (count and count in counts):
            return False
        counts.add(count)
        return True


def _fields(text: str) -> dict[str, str]:
    """Return the fields of a Digest header; what is none is left out."""
    items = parse_http_list(text)
    return parse_keqv_list([item for item in items if item.partition("=")[2]])


def _is_proof(fields: dict[str, str], request: Request, qop: str, algorithm: str) -> bool:
    """Tell whether the response was computed from user, password and this request; freshness apart."""
    query = request.scope["query_string"]
    target = (request.scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")
    used_qop = fields.get("qop")
    if fields.get("username") != request.path_params["user"] or fields.get("realm") != REALM:
        return False
    if fields.get("uri") != target or fields.get("algorithm", "MD5").upper() != algorithm:
        return False
    if (used_qop or "none") not in qop.split(","):
        return False
    expected = digest_response(
        fields,
        password=request.path_params["password"],
        method=request.method,
        body=body_of(request).data,
        algorithm=algorithm,
    )
    return hmac.compare_digest(fields.get("response", "").encode(), expected.encode())


def digest_response(fields: dict[str, str], *, password: str, method: str, body: bytes, algorithm: str) -> str:
    """Return the `response` that belongs to the other fields of a Digest header.

    Args:
        fields: username, realm, uri, nonce, and qop, nc and cnonce where used.
        password: The shared secret.
        method: The request's method.
        body: The request's body; counts with qop=auth-int only.
        algorithm: In upper case, with `-SESS` where wanted.

    Source: RFC 7616 §3.4.1 to §3.4.3.
    """
    name = _HASHES[algorithm.removesuffix("-SESS")]

    def hashed(data: str | bytes) -> str:
        return hashlib.new(name, data.encode() if isinstance(data, str) else data, usedforsecurity=False).hexdigest()

    nonce, cnonce, qop = fields.get("nonce", ""), fields.get("cnonce", ""), fields.get("qop")
    a1 = f"{fields.get('username', '')}:{fields.get('realm', '')}:{password}"
    if algorithm.endswith("-SESS"):
        a1 = f"{hashed(a1)}:{nonce}:{cnonce}"
    a2 = f"{method}:{fields.get('uri', '')}"
    if qop == "auth-int":
        a2 += f":{hashed(body)}"
    if qop is None:
        return hashed(f"{hashed(a1)}:{nonce}:{hashed(a2)}")
    return hashed(f"{hashed(a1)}:{nonce}:{fields.get('nc', '')}:{cnonce}:{qop}:{hashed(a2)}")


def routes() -> list[BaseRoute]:
    """Return the routes of this file, with no nonce given out yet."""
    digest = Digest().handle
    return [
        Route("/basic-auth/{user}/{password}", _basic, methods=ALL_METHODS),
        Route("/digest-auth/{qop}/{user}/{password}", digest, methods=ALL_METHODS),
        Route("/digest-auth/{qop}/{user}/{password}/{algorithm}", digest, methods=ALL_METHODS),
        Route("/bearer", _bearer, methods=ALL_METHODS),
    ]
