"""Rules between the keys of `auth`: each type has its own, and somebody must be meant by them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from crawler.jobs.auth_schema import KEYS_BY_TYPE, AuthKeys, AuthType
from crawler.jobs.fields import loosen
from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Map, Scalar
from crawler.jobs.urls import url_problem


def auth_rules(tree: Map) -> Iterator[Finding]:
    """Every breach of these rules."""
    request = tree.get("request")
    cookies = request.entries.get("cookies") if isinstance(request, Map) else None
    if cookies is not None and isinstance(cookies.node, Map) and not _names_hosts(tree):
        yield Finding(
            cookies.key_mark,
            "request.cookies: a mapping is for the hosts that the job names, and here they stand in the input; "
            "name one in `request.url`, or say `true`",
        )
    auth = tree.get("auth")
    if not isinstance(auth, Map):
        return
    node = auth.get("type")
    kind = loosen(node.value) if isinstance(node, Scalar) else "none" if node is None else None
    keys = next((KEYS_BY_TYPE[name] for name in get_args(AuthType) if name == kind), None)
    if keys is None:
        return  # the schema says so
    yield from _keys(auth, str(kind), keys)
    if kind != "none" and "hosts" not in auth.entries and not _names_hosts(tree):
        yield Finding(
            tree.entries["auth"].key_mark,
            "auth.hosts: is needed, as the hosts stand in the input; name those that may get the credentials",
        )
    yield from _token_url(tree, auth)


def _keys(auth: Map, kind: str, keys: AuthKeys) -> Iterator[Finding]:
    for key, entry in auth.entries.items():
        known = {name for other in KEYS_BY_TYPE.values() for name in (*other.needed, *other.possible)}
        is_foreign = key in known and key not in keys.needed and key not in keys.possible
        if is_foreign or (key == "hosts" and kind == "none"):
            yield Finding(entry.key_mark, f"auth.{key}: has no effect with `type: {kind}`")
    missing = [key for key in keys.needed if key not in auth.entries]
    if missing:
        yield Finding(auth.mark, f"auth: `type: {kind}` needs {', '.join(f'`{key}`' for key in missing)}")


def _names_hosts(tree: Map) -> bool:
    """Whether the job itself says which hosts it asks."""
    request = tree.get("request")
    url = request.get("url") if isinstance(request, Map) else None
    if isinstance(url, Scalar):
        return isinstance(url.value, str) and static_authority(url.value) is not None
    return tree.get("input") is None


def static_authority(template: str) -> str | None:
    """The part of a URL template up to the end of its host, if that is the same for every row; `/` on the testbed."""
    if template.startswith("/"):
        return "/"
    scheme, separator, rest = template.partition("://")
    authority = rest.split("/")[0].split("?")[0].split("#")[0]
    if not separator or "{" in scheme + authority or not authority:
        return None
    return f"{scheme}://{authority}"


def _token_url(tree: Map, auth: Map) -> Iterator[Finding]:
    node, testbed = auth.get("token_url"), tree.get("testbed")
    if isinstance(node, Scalar) and isinstance(node.value, str):
        with_testbed = isinstance(testbed, Scalar) and loosen(testbed.value) is True
        problem = url_problem(node.value, testbed=with_testbed)
        if problem is not None:
            yield Finding(node.mark, f"auth.token_url: {problem}")
