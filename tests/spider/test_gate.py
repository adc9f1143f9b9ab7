"""The gate of robots.txt: what each answer of a host means, for how long, and what is asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crawler.errors import ConnectError
from crawler.fanout import Item
from crawler.fanout.pages import UNKNOWN, Unknown
from crawler.models import Response
from crawler.spider import gate as gate_module
from crawler.spider.errors import RobotsDenied, RobotsUnavailable
from crawler.spider.gate import DENY_SECONDS, OnUnavailable, RobotsGate, RobotsSettings, origin_of
from tests.peers.sites import Answer, Site, redirect

PAGE = Item("http://h/private/1")
RULES = "User-agent: *\nDisallow: /private/\nCrawl-delay: 5\n"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow at once."""

    async def sleep(seconds: float) -> None:
        assert seconds >= 0

    monkeypatch.setattr("anyio.sleep", sleep)


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def gate_of(clock: Clock, on_unavailable: OnUnavailable = "deny", obey: bool = True) -> RobotsGate:
    """A gate with a clock of its own."""
    return RobotsGate(RobotsSettings(on_unavailable=on_unavailable, obey=obey, max_crawl_delay=3.0), clock=clock)


async def ask(
    gate: RobotsGate, pages: dict[str, Answer] | Callable[[str], Answer] | Site
) -> Exception | Unknown | None:
    """What the gate says of a page, after it has asked the site if it wanted to."""
    site = pages if isinstance(pages, Site) else Site(pages)
    verdict = gate.admit(PAGE)
    if verdict is UNKNOWN:
        async with site.client() as client:
            await gate.prepare(PAGE, client)
        verdict = gate.admit(PAGE)
    return verdict


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        (Response(200, content=RULES.encode()), False),
        (Response(200, content=b""), True),
        (Response(200, content=b"<html>Disallow: /"), True),
        (Response(404), True),
        (Response(403), True),
        (redirect("/moved"), False),
        (redirect("https://other/robots"), False),
        (redirect("mailto:x"), True),
    ],
)
async def test_answers_that_settle_it(answer: Response, allowed: bool) -> None:
    """Rules count, also after redirects to other hosts; where there are none, all is allowed."""
    pages: dict[str, Answer] = {"http://h/robots.txt": answer, "http://h/moved": RULES, "https://other/robots": RULES}
    gate = gate_of(Clock())

    verdict = await ask(gate, pages)

    assert (verdict is None) is allowed
    assert allowed or isinstance(verdict, RobotsDenied)
    assert gate.fields(PAGE) == {"robots": "allowed" if allowed else "denied"}


@pytest.mark.anyio
async def test_five_redirects_and_no_more() -> None:
    """The sixth redirect counts as no rules (RFC 9309 §2.3.1.2)."""
    pages: dict[str, Answer] = {f"http://h/{n}": redirect(f"/{n + 1}") for n in range(1, 9)}
    pages["http://h/robots.txt"] = redirect("/1")
    pages["http://h/5"] = RULES
    assert isinstance(await ask(gate_of(Clock()), pages), RobotsDenied)

    pages["http://h/5"], pages["http://h/6"] = redirect("/6"), RULES
    assert await ask(gate_of(Clock()), pages) is None


def _refuse(url: str) -> Answer:
    raise ConnectError("refused")


@pytest.mark.anyio
@pytest.mark.parametrize("broken", [lambda url: Response(503), lambda url: Response(429), _refuse])
@pytest.mark.parametrize("mode", ["deny", "allow", "stale"])
async def test_a_host_that_gives_none(broken: Callable[[str], Answer], mode: OnUnavailable) -> None:
    """Errors of the server deny all, after three tries, unless the job says otherwise."""
    site = Site(broken)
    gate = gate_of(Clock(), mode)

    verdict = await ask(gate, site)

    assert site.asked["http://h/robots.txt"] == 3
    assert gate.fields(PAGE) == {"robots": "unavailable"}
    assert verdict is None if mode == "allow" else isinstance(verdict, RobotsUnavailable)


@pytest.mark.anyio
async def test_one_bad_try_is_none() -> None:
    """A host that answers the second time is asked no more."""
    answers = iter([Response(500), Response(200, content=RULES.encode())])

    assert isinstance(await ask(gate_of(Clock()), lambda url: next(answers)), RobotsDenied)


@pytest.mark.anyio
async def test_an_old_copy_counts_after_ten_minutes_for_a_day() -> None:
    """A host that fails later is denied first, then judged by what it said before, until that is too old."""
    clock = Clock()
    gate = gate_of(clock)
    assert isinstance(await ask(gate, {"http://h/robots.txt": RULES}), RobotsDenied)
    clock.now += 23.9 * 3600
    assert gate.admit(PAGE) is not UNKNOWN, "rules count for a day"
    clock.now += 0.2 * 3600
    assert isinstance(await ask(gate, lambda url: Response(500)), RobotsUnavailable)

    short = RobotsGate(RobotsSettings(cache=3600.0), clock=clock)
    await ask(short, {"http://h/robots.txt": RULES})
    clock.now += 3601
    assert isinstance(await ask(short, lambda url: Response(500)), RobotsUnavailable)
    clock.now += DENY_SECONDS + 1
    assert isinstance(await ask(short, lambda url: Response(500)), RobotsDenied)
    clock.now += 24 * 3600
    assert isinstance(await ask(short, lambda url: Response(500)), RobotsUnavailable)
    clock.now += DENY_SECONDS + 1
    assert await ask(short, {}) is None


@pytest.mark.anyio
async def test_stale_takes_the_old_copy_at_once() -> None:
    """`on_unavailable: stale` does not wait ten minutes."""
    clock = Clock()
    gate = RobotsGate(RobotsSettings(cache=60.0, on_unavailable="stale"), clock=clock)
    await ask(gate, {"http://h/robots.txt": RULES})
    clock.now += 61

    assert isinstance(await ask(gate, lambda url: Response(500)), RobotsDenied)


@pytest.mark.anyio
async def test_intervals_are_kept_and_clamped() -> None:
    """Crawl-delay joins the host's clock, by origin and by name, up to what the job allows; more is noted."""
    gate = gate_of(Clock())

    await ask(gate, {"http://h/robots.txt": RULES})

    assert gate.interval("http://h") == gate.interval("h") == 3.0
    assert gate.clamped == {"http://h": 5.0}
    assert gate.interval("http://other") is None


@pytest.mark.anyio
async def test_what_is_not_obeyed_is_not_asked() -> None:
    """`obey: false` asks for no robots.txt and says so in the record."""
    site = Site({})
    gate = gate_of(Clock(), obey=False)

    assert await ask(gate, site) is None
    assert not site.asked
    assert gate.fields(PAGE) == {"robots": "ignored"}


@pytest.mark.anyio
@pytest.mark.parametrize("obey", [True, False])
async def test_sitemaps_are_named_or_looked_for(obey: bool) -> None:
    """robots.txt names sitemaps, relative ones too; where it names none, the usual place is looked at."""
    for robots, head, expected in (
        ("Sitemap: /a.xml\nSitemap: http://cdn/b.xml\nSitemap: mailto:x", None, ("http://h/a.xml", "http://cdn/b.xml")),
        ("", Response(200, headers={"content-type": "application/xml"}), ("http://h/sitemap.xml",)),
        ("", Response(200, headers={"content-type": "text/html"}), ()),
        ("", None, ()),
    ):
        gate = RobotsGate(RobotsSettings(obey=obey), sitemap_origins=["http://h"])
        await ask(gate, {"http://h/robots.txt": robots, "http://h/sitemap.xml": head})
        assert gate.sitemaps("http://h") == expected


@pytest.mark.anyio
async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that were asked least lately are forgotten."""
    monkeypatch.setattr(gate_module, "MAX_HOSTS", 3)
    gate = gate_of(Clock())
    async with Site({}).client() as client:
        for n in range(5):
            await gate.prepare(Item(f"http://h{n}/"), client)

    assert [gate.admit(Item(f"http://h{n}/")) for n in range(5)] == [UNKNOWN, UNKNOWN, None, None, None]


def test_what_has_no_origin_fails_by_itself() -> None:
    """Text that is no URL passes the gate: its request fails with the better reason."""
    assert gate_of(Clock()).admit(Item("no url")) is None
    assert origin_of("http://H:80/x") == "http://h"
    assert origin_of("ftp://h/") is None
