"""Digest authentication: answer a server's challenge without sending the password.

Source: RFC 7616; RFC 2069 for challenges without `qop`.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from typing import Final

from crawler.client.auth import Auth, AuthFlow
from crawler.errors import ProtocolError
from crawler.models import Request, Response

_ALGORITHMS: Final = {
    "MD5": "md5",
    "MD5-SESS": "md5",
    "SHA": "sha1",
    "SHA-SESS": "sha1",
    "SHA-256": "sha256",
    "SHA-256-SESS": "sha256",
    "SHA-512": "sha512",
    "SHA-512-SESS": "sha512",
}

# name=token or name="text with \\" escapes"; RFC 9110 §11.2. What stands between parameters is only commas and space.
_PARAMETER: Final = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)')


class Challenge:
    """What a server asks for.

    Attributes:
        realm, nonce, opaque: As given; `opaque` None if it was not.
        algorithm: As given, "MD5" if it was not.
        qop: The qualities of protection on offer; empty for RFC 2069.
        counts: Numbers the answers, from 1; each number is given to one thread only.
    """

    __slots__ = ("algorithm", "counts", "nonce", "opaque", "qop", "realm")

    def __init__(self, parameters: dict[str, str]) -> None:
        self.counts = itertools.count(1)
        self.realm = parameters["realm"]
        self.nonce = parameters["nonce"]
        self.opaque = parameters.get("opaque")
        self.algorithm = parameters.get("algorithm", "MD5")
        self.qop = [word.strip().lower() for word in parameters.get("qop", "").split(",") if word.strip()]

    @classmethod
    def parse(cls, value: str, request: Request) -> Challenge:
        """Read the value of a `WWW-Authenticate` field that begins with "Digest ".

        Raises:
            ProtocolError: It is malformed, lacks realm or nonce, or asks for an unknown algorithm.
        """
        text = value[len("digest ") :]
        parameters: dict[str, str] = {}
        at = 0
        while at < len(text):
            match = _PARAMETER.match(text, at)
            if match is None:
                raise ProtocolError(f"Malformed Digest challenge: {text[at : at + 80]!r}", request=request)
            name, quoted, token = match.groups()
            parameters[name.lower()] = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            at = match.end()
        if not parameters.keys() >= {"realm", "nonce"}:
            raise ProtocolError("Malformed Digest challenge: realm and nonce are required.", request=request)
        challenge = cls(parameters)
        if challenge.algorithm.upper() not in _ALGORITHMS:
            raise ProtocolError(f"Unknown Digest algorithm {challenge.algorithm!r}.", request=request)
        return challenge


class DigestAuth(Auth):
    """User name and password by digest: MD5, SHA, SHA-256, SHA-512 and their -sess forms.

    The challenge is kept: later requests answer it at once, with a growing counter.

    Raises:
        ProtocolError: In a flow: a malformed challenge.
        NotImplementedError: In a flow: the server offers `qop=auth-int` only.
    """

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        self._username = username if isinstance(username, bytes) else username.encode("utf-8")
        self._password = password if isinstance(password, bytes) else password.encode("utf-8")
        self._challenge: Challenge | None = None

    def auth_flow(self, request: Request) -> AuthFlow:
        """See `Auth.auth_flow`."""
        if self._challenge is not None:
            request.headers["Authorization"] = self._header(request, self._challenge)
        response = yield request
        value = _digest_value(response)
        if response.status_code != 401 or value is None:
            return
        self._challenge = Challenge.parse(value, request)
        request.headers["Authorization"] = self._header(request, self._challenge)
        if response.cookies:
            response.cookies.set_cookie_header(request)
        yield request

    def _header(self, request: Request, challenge: Challenge) -> str:
        target = request.url.raw_path
        a1 = b":".join((self._username, challenge.realm.encode("utf-8"), self._password))
        a2 = b":".join((request.method.encode("ascii"), target))
        number = next(challenge.counts)
        count = b"%08x" % number
        client_nonce = self._client_nonce(number, challenge.nonce)
        ha1 = _hash(challenge, a1)
        nonce = challenge.nonce.encode("utf-8")
        is_session = challenge.algorithm.lower().endswith("-sess")
        if is_session:
            ha1 = _hash(challenge, b":".join((ha1, nonce, client_nonce)))
        qop = _choose_qop(challenge, request)
        ha2 = _hash(challenge, a2)
        middle = (nonce, count, client_nonce, qop, ha2) if qop else (nonce, ha2)
        fields: dict[str, tuple[bytes, bool]] = {
            "username": (self._username, True),
            "realm": (challenge.realm.encode("utf-8"), True),
            "nonce": (nonce, True),
            "uri": (target, True),
            "response": (_hash(challenge, b":".join((ha1, *middle))), True),
            "algorithm": (challenge.algorithm.encode("ascii"), False),
        }
        if challenge.opaque is not None:
            fields["opaque"] = (challenge.opaque.encode("utf-8"), True)
        if qop:
            fields |= {"qop": (qop, False), "nc": (count, False)}
        if qop or is_session:  # a session's proof is made with it: without it no server can check the proof
            fields["cnonce"] = (client_nonce, True)
        return "Digest " + ", ".join(_field(name, *value) for name, value in fields.items())

    @staticmethod
    def _client_nonce(count: int, nonce: str) -> bytes:
        import hashlib

        seed = b"".join((str(count).encode(), nonce.encode("utf-8"), time.ctime().encode(), os.urandom(8)))
        return hashlib.sha1(seed, usedforsecurity=False).hexdigest()[:16].encode("ascii")


def _digest_value(response: Response) -> str | None:
    for value in response.headers.get_list("WWW-Authenticate"):
        if value.lower().startswith("digest "):
            return value
    return None


def _hash(challenge: Challenge, data: bytes) -> bytes:
    import hashlib

    name = _ALGORITHMS[challenge.algorithm.upper()]
    return hashlib.new(name, data, usedforsecurity=False).hexdigest().encode("ascii")


def _choose_qop(challenge: Challenge, request: Request) -> bytes | None:
    if not challenge.qop:
        return None
    if "auth" in challenge.qop:
        return b"auth"
    if challenge.qop == ["auth-int"]:
        raise NotImplementedError("Digest authentication with qop=auth-int is not supported.")
    raise ProtocolError(f"Unexpected qop {', '.join(challenge.qop)!r} in the Digest challenge.", request=request)


def _field(name: str, value: bytes, is_quoted: bool) -> str:
    text = value.decode("utf-8")
    if not is_quoted:
        return f"{name}={text}"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'
