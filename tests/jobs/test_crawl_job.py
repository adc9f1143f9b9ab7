"""Jobs of kind `crawl`: their keys, their defaults, and what is wrong with them at its line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from crawler.jobs import Job, JobError, load_job
from crawler.jobs.crawl_job import crawl_settings
from crawler.jobs.crawl_schema import instant_of
from crawler.spider.crawl import HOLD
from crawler.spider.gate import RobotsGate

HEAD = "kind: crawl\ncontact: me@example.org\nurls: [https://h.example/]\n"


def job(folder: Path, text: str, *, anonymous: bool = False) -> Job:
    """A job of a text."""
    path = folder / "job.yaml"
    path.write_text(text)
    return load_job(path, anonymous=anonymous)


def problems(folder: Path, text: str) -> list[str]:
    """What is wrong with a job, as line:column: message."""
    with pytest.raises(JobError) as caught:
        job(folder, text)
    return [line.partition("job.yaml:")[2] for line in str(caught.value).splitlines()]


def test_defaults_of_a_crawl(tmp_path: Path) -> None:
    """A crawl is polite unless it says otherwise."""
    made = job(tmp_path, HEAD)
    plan = made.plan()
    staff = made.staff(plan)

    assert (plan.concurrency, plan.retry.attempts) == (32, 3)
    assert (plan.politeness.limits.concurrency, plan.politeness.limits.rate) == (2, 1.0)
    assert not plan.follow_redirects
    assert plan.body.hold == HOLD
    assert isinstance(staff.gate, RobotsGate)
    assert staff.gate.settings.obey
    assert staff.crawl is not None
    settings = staff.crawl.settings
    assert (settings.scope, settings.depth, settings.max_pages, settings.sitemaps) == ("host", 3, 100_000, True)
    (seed,) = staff.items
    assert (seed.url, seed.depth, seed.discovered_by) == ("https://h.example/", 0, "seed")


def test_every_key_arrives(tmp_path: Path) -> None:
    """What the file says is what the spider does."""
    made = job(
        tmp_path,
        HEAD
        + """
crawl:
  scope: domain
  depth: null
  extra_hops: 1
  include: ["/p/**"]
  exclude: ["**/cart/**", "re:x$"]
  follow: ["a@href", "header:Link[rel=next]"]
  nofollow: ignore
  max_pages: 10
  max_pages_per_host: null
  max_url_length: 100
  max_query_params: 2
  max_repeat: 2
  max_per_template: null
  order: dfs
  normalize: {sort_query: true, drop_params: utm_*, drop_fragment: false, lowercase_path: true}
robots: {agent: shopbot, max_crawl_delay: 5s, on_unavailable: stale, cache: 1h}
sitemaps: {enabled: false, urls: [https://h.example/map.xml], since: 30d, max_urls: 5}
redirects: {max: 3}
""",
    )
    settings = crawl_settings(made._model, datetime(2026, 11, 21, tzinfo=UTC))
    staff = made.staff(made.plan())

    assert (settings.scope, settings.depth, settings.extra_hops, settings.order) == ("domain", None, 1, "dfs")
    assert (settings.include, settings.exclude) == (("/p/**",), ("**/cart/**", "re:x$"))
    assert (settings.follow, settings.obey_nofollow) == (("a@href", "header:Link[rel=next]"), False)
    assert (settings.max_pages, settings.max_pages_per_host, settings.max_redirects) == (10, None, 3)
    limits = settings.traps
    assert (limits.max_url_length, limits.max_query_params, limits.max_repeat, limits.max_per_template) == (
        100,
        2,
        2,
        None,
    )
    assert settings.normalizer.normalize("https://h.example/A?b=1&a=2&utm_x=3#f") == "https://h.example/a?a=2&b=1#f"
    assert (settings.agent, settings.sitemaps, settings.max_sitemap_urls) == ("shopbot", False, 5)
    assert settings.sitemap_since == datetime(2026, 10, 22, tzinfo=UTC)
    assert isinstance(staff.gate, RobotsGate)
    assert (staff.gate.settings.max_crawl_delay, staff.gate.settings.cache) == (5.0, 3600.0)
    assert [item.url for item in staff.items] == ["https://h.example/", "https://h.example/map.xml"]


@pytest.mark.parametrize(
    ("since", "instant"),
    [
        ("1d", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T12:00:00+01:00", datetime(2026, 11, 1, 11, tzinfo=UTC)),
    ],
)
def test_since(since: str, instant: datetime) -> None:
    """A duration counts back from now, a date is itself."""
    assert instant_of(since, datetime(2026, 11, 21, tzinfo=UTC)) == instant


BAD = [
    (
        "crawl: {scope: hots}",
        "4:16: crawl.scope: expected page or prefix or host or domain or any, not 'hots'; did you mean 'host'?",
    ),
    ("crawl: {scope: any}", "4:16: crawl.scope: `any` has no end: set `crawl.max_pages`"),
    ("crawl: {max_pages: null}", "4:20: crawl.max_pages: a crawl needs an end: set it, or `stop.requests`"),
    ("crawl: {include: ['re:(']}", "4:19: crawl.include[0]: '(' is no regular expression"),
    ("crawl: {follow: ['a[href]']}", "4:18: crawl.follow[0]: 'a[href]' does not say which attribute"),
    ("crawl: {depth: 0}", "4:16: crawl.depth: must be between 1 and 10000, not 0; write null for no limit"),
    ("crawl: {dpeth: 1}", "4:9: crawl.dpeth: unknown key; did you mean 'depth'?"),
    ("sitemaps: {since: soon}", "4:19: sitemaps.since: expected a duration like 30d or a date like 2026-11-21"),
    (
        "sitemaps: {enabled: false, since: 1d}",
        "4:35: sitemaps.since: has no effect with `enabled: false` and no `urls`",
    ),
    ("retry: {retry_after: ignore}", "4:22: retry.retry_after: who obeys robots.txt does not ignore Retry-After"),
    ("paginate: {type: link, next: 'a@href'}", "4:1: paginate: a crawl follows links; say `crawl.follow`"),
]


@pytest.mark.parametrize(("text", "problem"), BAD, ids=[text for text, _ in BAD])
def test_what_is_wrong_with_a_crawl(tmp_path: Path, text: str, problem: str) -> None:
    """Each mistake is told with its line and column."""
    found = problems(tmp_path, HEAD + text)

    assert len(found) == 1
    assert found[0].startswith(problem)


def test_a_crawl_names_somebody(tmp_path: Path) -> None:
    """Without `contact` a crawl is refused, unless it is to be anonymous."""
    text = "kind: crawl\nurls: [https://h.example/]\n"

    assert problems(tmp_path, text)[0].startswith("1:7: kind: a crawl names somebody whom sites can write to")
    assert job(tmp_path, text, anonymous=True).kind == "crawl"


def test_a_crawl_may_begin_with_sitemaps(tmp_path: Path) -> None:
    """`sitemaps.urls` stands in the place of `urls`."""
    text = "kind: crawl\ncontact: me@example.org\nsitemaps: {urls: https://h.example/map.xml}\n"
    made = job(tmp_path, text)

    assert [item.discovered_by for item in made.staff(made.plan()).items] == ["sitemap"]


def test_a_crawl_without_robots_warns_each_time(tmp_path: Path) -> None:
    """`robots.obey: false` is allowed, and said."""
    made = job(tmp_path, HEAD + "robots: {obey: false}\nsitemaps: {enabled: false}\n")

    assert [warning.message for warning in made.warnings] == [
        "robots.obey: robots.txt is not asked: only crawl like that what is yours"
    ]
    assert made.staff(made.plan()).gate is None


def test_keys_of_other_kinds(tmp_path: Path) -> None:
    """Keys of a crawl mean nothing to other jobs; robots.txt can be obeyed by any."""
    head = "urls: [https://h.example/]\n"

    assert problems(tmp_path, head + "crawl: {depth: 1}") == ["2:1: crawl: has no effect without `kind: crawl`"]
    assert problems(tmp_path, head + "robots: {agent: x}") == ["2:17: robots.agent: has no effect without `obey: true`"]
    made = job(tmp_path, head + "robots: {obey: true}")
    assert isinstance(made.staff(made.plan()).gate, RobotsGate)
