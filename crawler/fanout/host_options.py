"""Headers and time limits of some hosts: a client that gives each request those of the host it goes to.

A redirect to another host takes the headers off that only the first one was to get (an API key, say), and adds those
of the next.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

from crawler.fanout.hosts import host_key, rule_for
from crawler.fanout.plan import HostRule, Politeness

if TYPE_CHECKING:
    from crawler.fanout.fetch import HTTPClient
    from crawler.models import URL, Request, Response

_RULE: Final = "crawler.host_rule"
_OWN: Final = "crawler.own_headers"


def for_hosts(client: HTTPClient, politeness: Politeness) -> HTTPClient:
    """Give a client that keeps to the rules of hosts; the same one if no rule says anything of its requests."""
    has_options = any(rule.headers or rule.timeouts for rule in politeness.rules)
    return HostClient(client, politeness) if has_options else client


class HostClient:
    """A client that gives requests what their host is to get.

    Args:
        client: Makes and sends them.
        politeness: Whose rules.
    """

    def __init__(self, client: HTTPClient, politeness: Politeness) -> None:
        self._client = client
        self._politeness = politeness

    def build_request(
        self, method: str, url: URL | str, *, headers: list[tuple[str, str]] | None = None, content: bytes | None = None
    ) -> Request:
        """Make a request; its own headers count before those of its host."""
        request = self._client.build_request(method, url, headers=headers, content=content)
        rule = self._rule(request)
        if rule is None:
            return request
        request.extensions[_OWN] = frozenset(name.lower() for name, _ in headers or ())
        self._dress(request, rule)
        return request

    def send(
        self, request: Request, *, stream: bool = False, follow_redirects: bool = False, **options: None
    ) -> Awaitable[Response]:
        """Send a request."""
        rule, before = self._rule(request), request.extensions.get(_RULE)
        if rule is not before:
            request.extensions = dict(request.extensions)  # a redirect shares them with the request before
            if before is not None:
                own = request.extensions.get(_OWN, frozenset())
                for name, _ in before.headers:
                    if name.lower() not in own:
                        request.headers.pop(name, None)
            self._dress(request, rule)
        return self._client.send(request, stream=stream, follow_redirects=follow_redirects, **options)

    def _rule(self, request: Request) -> HostRule | None:
        return rule_for(self._politeness, host_key(str(request.url), self._politeness.by))

    def _dress(self, request: Request, rule: HostRule | None) -> None:
        request.extensions[_RULE] = rule
        if rule is None:
            return
        own = request.extensions.get(_OWN, frozenset())
        for name, value in rule.headers:
            if name.lower() not in own:
                request.headers[name] = value
        if rule.timeouts:
            request.extensions["timeout"] = {**request.extensions.get("timeout", {}), **dict(rule.timeouts)}
