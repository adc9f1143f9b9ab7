"""Headers and time limits of some hosts: they get them, and nobody else does."""

from __future__ import annotations

import anyio

from crawler.fanout import HostLimits, HostRule, Item, Plan, Politeness, Run
from crawler.fanout.host_options import HostClient, for_hosts
from crawler.models import Request, Response
from tests.fanout.test_hops import to
from tests.peers.clients import Answer, ScriptedClient

LIMITS = HostLimits()
RULES = (
    HostRule("a.example", LIMITS, headers=(("X-Key", "of a"), ("Accept", "a/a")), timeouts=(("read", 5.0),)),
    HostRule("b.example", LIMITS, headers=(("X-Other", "of b"),)),
)


class Noting(ScriptedClient):
    """Notes the headers of what is sent."""

    def __init__(self) -> None:
        super().__init__(self.script)
        self.sent: list[tuple[str, dict[str, str]]] = []

    @staticmethod
    def script(url: str, number: int) -> Answer:
        return to(url, url.replace("//a.", "//b.").replace("move", "there")) if "move" in url else 200

    async def send(
        self, request: Request, *, stream: bool = False, follow_redirects: bool = False, auth: None = None
    ) -> Response:
        names = ("x-key", "x-other", "accept")
        found = {name: request.headers[name] for name in names if name in request.headers}
        self.sent.append((str(request.url), found))
        return await super().send(request, stream=stream, follow_redirects=follow_redirects)


def test_each_host_gets_its_own_and_no_other_does() -> None:
    """Also behind a redirect; a header that the request has itself counts more, and stays."""
    client = Noting()
    items = [
        Item("http://a.example/plain"),
        Item("http://a.example/move"),
        Item("http://a.example/own", headers=(("accept", "own"),)),
        Item("http://c.example/plain"),
    ]
    plan = Plan("options", politeness=Politeness(limits=LIMITS, rules=RULES), concurrency=1)
    outcome = anyio.run(Run(plan, items, client=client).execute)

    assert outcome.exit_code == 0
    assert dict(client.sent) == {
        "http://a.example/plain": {"x-key": "of a", "accept": "a/a"},
        "http://a.example/move": {"x-key": "of a", "accept": "a/a"},
        "http://b.example/there": {"x-other": "of b"},
        "http://a.example/own": {"x-key": "of a", "accept": "own"},
        "http://c.example/plain": {},
    }


def test_time_limits_are_changed_one_by_one() -> None:
    """What a rule does not name stays as the client has it."""
    client = HostClient(ScriptedClient(), Politeness(rules=RULES))
    there = client.build_request("GET", "http://a.example/")
    elsewhere = client.build_request("GET", "http://b.example/")

    assert there.extensions["timeout"]["read"] == 5.0
    assert elsewhere.extensions.get("timeout", {}).get("read") != 5.0


def test_without_such_rules_the_client_is_left_alone() -> None:
    """A run that does not need it pays nothing."""
    client = ScriptedClient()

    assert for_hosts(client, Politeness(rules=(HostRule("a.example", LIMITS),))) is client
