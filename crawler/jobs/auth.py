"""From the keys of `auth` to the client's way to authenticate."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from crawler.client import (
    Auth,
    BasicAuth,
    BearerAuth,
    DigestAuth,
    NetRCAuth,
    OAuth2ClientCredentials,
)
from crawler.client.aws_sigv4 import AwsSigV4Auth
from crawler.client.host_auth import HostAuth
from crawler.client.key_auth import HeaderAuth, QueryAuth
from crawler.errors import InvalidURL
from crawler.jobs.auth_rules import static_authority
from crawler.jobs.auth_schema import AuthSection
from crawler.jobs.schema import JobFile
from crawler.models import URL

_TESTBED_HOST: Final = "127.0.0.1"  # its port is not known before it runs


class AuthError(Exception):
    """Credentials that cannot be read; the message says which and why."""


def auth_of(model: JobFile) -> Auth | None:
    """The job's way to authenticate, which no other host than those of `auth.hosts` gets to see; None if it has none.

    Raises:
        AuthError: There is no netrc file, or it is malformed.
    """
    section = model.auth
    if section.type == "none":
        return None
    return HostAuth(_make(section), section.hosts or tuple(dict.fromkeys(_own_hosts(model))))


def _make(section: AuthSection) -> Auth:
    def value(key: str) -> str:
        return getattr(section, key) or ""

    match section.type:
        case "basic":
            return BasicAuth(value("username"), value("password"))
        case "digest":
            return DigestAuth(value("username"), value("password"))
        case "bearer":
            return BearerAuth(value("token"))
        case "header":
            return HeaderAuth(value("header"), value("value"))
        case "query":
            return QueryAuth(value("name"), value("value"))
        case "oauth2_client_credentials":
            return OAuth2ClientCredentials(
                value("token_url"), value("client_id"), value("client_secret"), scope=section.scope
            )
        case "aws_sigv4":
            pair = value("access_key"), value("secret_key")
            return AwsSigV4Auth(*pair, value("region"), value("service"), session_token=section.token)
        case "netrc":
            return _netrc()
        case "none":
            return Auth()


def _netrc() -> Auth:
    """From the file that `NETRC` names, as for curl, else `~/.netrc`."""
    import netrc

    path = os.environ.get("NETRC") or str(Path.home() / ".netrc")
    try:
        return NetRCAuth(path)
    except OSError as error:
        raise AuthError(f"cannot read {path}: {error.strerror or error}") from error
    except netrc.NetrcParseError as error:
        raise AuthError(f"{path} is malformed: {error.msg} (line {error.lineno})") from error


def first_cookies(model: JobFile) -> tuple[tuple[str, str, str], ...]:
    """Name, value and host of the cookies of `request.cookies`: they go to the hosts that the job names."""
    cookies = model.request.cookies
    if isinstance(cookies, bool):
        return ()
    hosts = dict.fromkeys(urlsplit(f"//{name.rpartition('://')[2]}").hostname or name for name in _own_hosts(model))
    return tuple((name, value, host) for host in hosts for name, value in cookies.items())


def _own_hosts(model: JobFile) -> Iterator[str]:
    """The origins that the job itself names."""
    texts = [model.request.url.text] if model.request.url is not None else [entry.url for entry in model.urls or ()]
    for text in texts:
        authority = static_authority(text)
        if authority == "/":
            yield _TESTBED_HOST
        elif authority is not None:
            try:
                origin = URL(authority).origin
            except (InvalidURL, ValueError):
                continue  # said elsewhere
            host = f"[{origin.host}]" if ":" in origin.host else origin.host
            yield f"{origin.scheme}://{host}:{origin.port}"
