"""The cookies of a run, kept beside its state: a run that is gone on with is still logged in.

One JSON file that its owner alone can read, written whole and renamed.
"""

from __future__ import annotations

import os
from http.cookiejar import Cookie, CookieJar
from pathlib import Path
from typing import Any, Final

import orjson

COOKIE_FILE: Final = "cookies.json"

_FIELDS: Final = (
    "name",
    "value",
    "domain",
    "path",
    "secure",
    "expires",
    "discard",
    "domain_specified",
    "path_specified",
)


def save_cookies(jar: CookieJar, path: Path) -> None:
    """Write all cookies that have not expired, also those of the session.

    Raises:
        OSError: The file cannot be written.
    """
    cookies = [{name: getattr(cookie, name) for name in _FIELDS} for cookie in jar if not cookie.is_expired()]
    part = path.with_name(path.name + ".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(orjson.dumps(cookies))
    part.replace(path)


def load_cookies(jar: CookieJar, path: Path) -> None:
    """Put the cookies of a file into a jar; a file that is missing or broken has none."""
    try:
        cookies = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return
    for fields in cookies if isinstance(cookies, list) else ():
        cookie = _cookie(fields)
        if cookie is not None and not cookie.is_expired():
            jar.set_cookie(cookie)


def _cookie(fields: Any) -> Cookie | None:
    try:
        domain: str = fields["domain"]
        return Cookie(
            version=0,
            name=fields["name"],
            value=fields["value"],
            port=None,
            port_specified=False,
            domain=domain,
            domain_specified=fields["domain_specified"],
            domain_initial_dot=domain.startswith("."),
            path=fields["path"],
            path_specified=True,
            secure=fields["secure"],
            expires=fields["expires"],
            discard=fields["discard"],
            comment=None,
            comment_url=None,
            rest={},
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
