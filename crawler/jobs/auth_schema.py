"""The keys that say who a job is to the servers, as a pydantic model, and which of them belong together."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel

from crawler.jobs.fields import OneOrMany, Text, choice
from crawler.jobs.section import SECTION

AuthType = Literal[
    "none", "basic", "bearer", "header", "query", "digest", "oauth2_client_credentials", "aws_sigv4", "netrc"
]


class AuthKeys(NamedTuple):
    """The keys of one type besides `type` and `hosts`."""

    needed: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


KEYS_BY_TYPE: Final[dict[AuthType, AuthKeys]] = {
    "none": AuthKeys(),
    "basic": AuthKeys(("username", "password")),
    "bearer": AuthKeys(("token",)),
    "header": AuthKeys(("header", "value")),
    "query": AuthKeys(("name", "value")),
    "digest": AuthKeys(("username", "password")),
    "oauth2_client_credentials": AuthKeys(("token_url", "client_id", "client_secret"), ("scope",)),
    "aws_sigv4": AuthKeys(("access_key", "secret_key", "region", "service"), ("token",)),
    "netrc": AuthKeys(),
}


class AuthSection(BaseModel):
    """Who the job is to the servers; its values are never shown, stored or sent to another host."""

    model_config = SECTION

    type: Annotated[AuthType, choice(*KEYS_BY_TYPE)] = "none"
    """How requests are authenticated."""
    username: Text | None = None
    """Of `basic` and `digest`."""
    password: Text | None = None
    """Of `basic` and `digest`."""
    token: Text | None = None
    """Of `bearer`; of `aws_sigv4` the session token of temporary credentials."""
    header: Text | None = None
    """Of `header`: the name of the header, like X-Api-Key."""
    name: Text | None = None
    """Of `query`: the name of the parameter."""
    value: Text | None = None
    """Of `header` and `query`: the key itself."""
    token_url: Text | None = None
    """Of `oauth2_client_credentials`: where tokens are given."""
    client_id: Text | None = None
    """Of `oauth2_client_credentials`."""
    client_secret: Text | None = None
    """Of `oauth2_client_credentials`."""
    scope: Text | None = None
    """Of `oauth2_client_credentials`: what the token is for; several separated by spaces."""
    region: Text | None = None
    """Of `aws_sigv4`, like eu-central-1."""
    service: Text | None = None
    """Of `aws_sigv4`, like s3 or execute-api."""
    access_key: Text | None = None
    """Of `aws_sigv4`."""
    secret_key: Text | None = None
    """Of `aws_sigv4`."""
    hosts: Annotated[list[Text], OneOrMany()] = []
    """Patterns of the hosts that get the credentials; default those of `urls` or `request.url`."""
