"""Credentials, right and nearly right."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from crawler.testbed.auth import digest_response

Ask = Any  # the `Asker` of conftest.py

ALGORITHMS = ["MD5", "SHA", "SHA-256", "SHA-512", "MD5-sess", "SHA-256-sess", "SHA-512-sess"]


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of Basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_basic(ask: Ask) -> None:
    """Right credentials pass; wrong, broken and missing ones are challenged."""
    assert ask("/basic-auth/u/p", headers=basic("u", "p")).json() == {"authenticated": True, "user": "u"}
    for headers in ({}, basic("u", "x"), {"Authorization": "Basic %%%"}, {"Authorization": "Bearer dTpw"}):
        reply = ask("/basic-auth/u/p", headers=headers)
        assert reply.status == 401
        assert reply.headers["www-authenticate"] == 'Basic realm="testbed", charset="UTF-8"'


def test_bearer(ask: Ask) -> None:
    """Any token passes and is shown; none is challenged."""
    assert ask("/bearer", headers={"Authorization": "Bearer abc"}).json() == {"authenticated": True, "token": "abc"}
    assert ask("/bearer").headers["www-authenticate"].startswith("Bearer ")


def challenge_of(ask: Ask, path: str) -> dict[str, str]:
    """Fetch without credentials and return the fields of the challenge."""
    reply = ask(path)
    assert reply.status == 401
    return parse(reply.headers["www-authenticate"])


def parse(challenge: str) -> dict[str, str]:
    """Return the fields of a Digest challenge."""
    assert challenge.startswith("Digest ")
    return {key: quoted or plain for key, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', challenge)}


def answer(
    fields: dict[str, str], uri: str, change: dict[str, str] | None = None, *, password: str = "p", body: bytes = b""
) -> str:
    """Return an `Authorization` line for a challenge, with single fields changed."""
    reply = {"username": "u", "realm": fields["realm"], "nonce": fields["nonce"], "uri": uri}
    if "qop" in fields:
        reply |= {"qop": fields["qop"].split(",")[-1], "nc": "00000001", "cnonce": "c0ffee"}
    elif fields["algorithm"].endswith("-sess"):
        reply |= {"cnonce": "c0ffee"}
    reply |= change or {}
    method = "POST" if body else "GET"
    algorithm = fields["algorithm"].upper()
    response = digest_response(reply, password=password, method=method, body=body, algorithm=algorithm)
    lines = [f'{key}="{value}"' for key, value in reply.items() if key not in ("qop", "nc")]
    lines += [f"{key}={value}" for key, value in reply.items() if key in ("qop", "nc")]
    return "Digest " + ", ".join([*lines, f"algorithm={fields['algorithm']}", f'response="{response}"'])


@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth,auth-int", "none"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_digest(ask: Ask, qop: str, algorithm: str) -> None:
    """Each algorithm with each qop passes with the right proof, and not with that of another password."""
    path = f"/digest-auth/{qop}/u/p/{algorithm}?a=b"
    fields = challenge_of(ask, path)
    assert fields["algorithm"] == algorithm
    assert ask(path, headers={"Authorization": answer(fields, path, password="x")}).status == 401
    assert ask(path, headers={"Authorization": answer(fields, path)}).json() == {"authenticated": True, "user": "u"}


def test_the_example_of_rfc_7616() -> None:
    """The computation gives the values of RFC 7616 §3.9.1."""
    fields = {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "qop": "auth",
    }
    for algorithm, expected in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        got = digest_response(fields, password="Circle of Life", method="GET", body=b"", algorithm=algorithm)
        assert got == expected


def test_the_body_counts_with_auth_int(ask: Ask) -> None:
    """With auth-int another body than the one signed is refused."""
    path = "/digest-auth/auth-int/u/p"
    line = answer(challenge_of(ask, path), path, body=b"signed")
    assert ask(path, "POST", body=b"other!", headers={"Authorization": line}).status == 401
    assert ask(path, "POST", body=b"signed", headers={"Authorization": line}).status == 200


def test_a_count_is_good_once_and_a_nonce_must_be_ours(ask: Ask) -> None:
    """A replay and a made-up nonce are stale; the next count passes."""
    path = "/digest-auth/auth/u/p"
    fields = challenge_of(ask, path)
    first = answer(fields, path)
    assert ask(path, headers={"Authorization": first}).status == 200
    again = ask(path, headers={"Authorization": first})
    assert (again.status, parse(again.headers["www-authenticate"])["stale"]) == (401, "true")
    assert ask(path, headers={"Authorization": answer(fields, path, {"nc": "00000002"})}).status == 200
    made_up = ask(path, headers={"Authorization": answer(fields | {"nonce": "abc"}, path)})
    assert parse(made_up.headers["www-authenticate"])["stale"] == "true"


@pytest.mark.parametrize("change", [{"uri": "/other"}, {"username": "x"}, {"realm": "x"}, {"qop": "auth-int"}])
def test_nearly_right_digests_are_refused(ask: Ask, change: dict[str, str]) -> None:
    """A proof over another target, user, realm or qop than this request's is none, and not called stale."""
    path = "/digest-auth/auth/u/p"
    reply = ask(path, headers={"Authorization": answer(challenge_of(ask, path), path, change)})
    assert reply.status == 401
    assert "stale" not in parse(reply.headers["www-authenticate"])


def test_digest_refuses_nonsense(ask: Ask) -> None:
    """Unknown qops and algorithms are mistakes of the request; a header that is none is challenged again."""
    assert ask("/digest-auth/x/u/p").status == 400
    assert ask("/digest-auth/auth/u/p/MD4").status == 400
    assert ask("/digest-auth/auth/u/p", headers={"Authorization": "Digest nonsense, ="}).status == 401
