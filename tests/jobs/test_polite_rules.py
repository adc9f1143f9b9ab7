"""Rules between the keys of politeness, and what the engine is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.fanout import CircuitPolicy, HostLimits, HostRule, Politeness, StopLimits
from crawler.fanout.throttle import ThrottlePolicy
from crawler.fanout.windows import parse_window
from crawler.jobs import JobError, load_job
from crawler.jobs.politeness import politeness_of, stop_limits_of


def write(folder: Path, text: str) -> Path:
    """A job file with one URL."""
    path = folder / "job.yaml"
    path.write_text(f"urls: [http://127.0.0.1:1/]\n{text}\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("per_host: {burst: 2}", "2:12: per_host.burst: has no effect without `rate`"),
        ("per_host: {jitter: 0.1}", "2:12: per_host.jitter: has no effect without `rate`"),
        ("per_host: {rate: null, burst: 2}", "2:24: per_host.burst: has no effect without `rate`"),
        (
            "per_host: {rate: 1/s, burst: 2, jitter: 0}",
            "2:33: per_host.jitter: has no effect with a burst above 1",
        ),
        (
            "per_host: {concurrency: 65}",
            "2:12: per_host.concurrency: 65 is more than the job's concurrency of 64",
        ),
        (
            "{concurrency: 4, hosts: [{match: x, concurrency: 5}]}",
            "hosts[].concurrency: 5 is more than the job's concurrency of 4",
        ),
        ("hosts: [{match: x}]", "2:10: hosts[].match: the entry changes nothing; give a limit beside it"),
        ("hosts: [{match: x, burst: 2}]", "2:20: hosts[].burst: has no effect without `rate`"),
        ("circuit: {failures: null, open_for: 1s}", "2:27: circuit.open_for: has no effect with `failures: null`"),
        (
            "{per_host: {by: ip}, hosts: [{match: '*.example.com', rate: 1/s}]}",
            "hosts[].match: with `per_host.by: ip` give an address, a pattern or a network, not '*.example.com'",
        ),
        (
            "hosts: [{match: 192.0.2.0/24, rate: 1/s}]",
            "2:10: hosts[].match: a network needs `per_host.by: ip`",
        ),
        (
            "{per_host: {by: ip}, request: {proxy: 'http://127.0.0.1:3128'}}",
            "2:12: per_host.by: with a proxy, hosts cannot be told by their addresses",
        ),
        ("telemetry: {propagate: true}", "2:13: telemetry.propagate: has no effect without `otlp.endpoint`"),
        (
            "{per_host: {by: ip}, hosts: [{match: 192.0.2.1, headers: {x-key: a}}]}",
            "hosts[].headers: cannot be with `per_host.by: ip`",
        ),
        ("autothrottle: {min: 1/s}", "2:16: autothrottle.min: has no effect without `enabled: true`"),
        ("autothrottle: {enabled: true, max: 1/m}", "2:31: autothrottle.max: is below `min` (0.1/s)"),
        ("circuit: {open_for: 2m, max_open: 1m}", "2:25: circuit.max_open: is shorter than `open_for`"),
        (
            "stop: {failure_ratio_window: 5}",
            "2:8: stop.failure_ratio_window: has no effect without `failure_ratio`",
        ),
        ("retry: {attempts: 1, budget: 0.5}", "2:22: retry.budget: has no effect with `attempts: 1`"),
    ],
)
def test_what_contradicts_or_does_nothing(tmp_path: Path, line: str, finding: str) -> None:
    """Each is told with its place."""
    text = "\n".join(line[1:-1].split(", ", 1)) if line.startswith("{") else line
    with pytest.raises(JobError) as caught:
        load_job(write(tmp_path, text))

    assert finding in str(caught.value)


def test_hosts_are_told_by_domain_or_address(tmp_path: Path) -> None:
    """Both ways are the engine's, with networks for addresses."""
    domain = load_job(write(tmp_path, "per_host: {by: registrable_domain}"))
    address = load_job(
        write(
            tmp_path,
            "per_host: {by: ip, rate: 1/s}\nhosts: [{match: 192.0.2.0/24, rate: 5/s}, {match: '::1', rate: 9/s}]",
        )
    )

    assert domain.plan().politeness.by == "registrable_domain"
    assert address.plan().politeness.by == "ip"
    assert [rule.match for rule in address.plan().politeness.rules] == ["192.0.2.0/24", "::1"]


def test_hosts_may_have_headers_and_time_limits(tmp_path: Path) -> None:
    """Only what an entry says is changed."""
    job = load_job(
        write(tmp_path, "hosts: [{match: a.example, headers: {X-Key: k}, timeout: {read: 5s, total: null}}]")
    )
    (rule,) = job.plan().politeness.rules

    assert rule.headers == (("X-Key", "k"),)
    assert dict(rule.timeouts) == {"read": 5.0, "write": 5.0, "total": None}


def test_hosts_are_throttled_where_it_is_asked_for_and_in_crawls(tmp_path: Path) -> None:
    """`autothrottle` is on for crawls alone, and says what it is asked to."""
    plain = load_job(write(tmp_path, "kind: fetch"))
    crawl = load_job(write(tmp_path, "kind: crawl\ncontact: me@example.org"))
    off = load_job(write(tmp_path, "kind: crawl\ncontact: me@example.org\nautothrottle: {enabled: false}"))
    own = load_job(write(tmp_path, "autothrottle: {enabled: true, min: 6/m, max: 2/s, target_ttfb: 500ms}"))

    assert plain.plan().politeness.throttle is None
    assert crawl.plan().politeness.throttle == ThrottlePolicy(0.1, None, None)
    assert off.plan().politeness.throttle is None
    assert own.plan().politeness.throttle == ThrottlePolicy(0.1, 2.0, 0.5)


def test_a_benchmark_spares_nobody(tmp_path: Path) -> None:
    """The keys are errors there."""
    with pytest.raises(JobError, match="per_host: has no effect with `kind: bench`"):
        load_job(write(tmp_path, "kind: bench\nper_host: {concurrency: 1}"))


def test_the_default_gives_way_to_a_small_concurrency(tmp_path: Path) -> None:
    """Eight at once for a host, or as many as there are at all."""
    assert load_job(write(tmp_path, "")).plan().politeness == Politeness(limits=HostLimits(concurrency=8))
    assert load_job(write(tmp_path, "concurrency: 3")).plan().politeness.limits.concurrency == 3


def test_rules_inherit_what_they_do_not_say(tmp_path: Path) -> None:
    """An entry of `hosts` changes its own keys only; null takes a limit away."""
    job = load_job(
        write(
            tmp_path,
            "per_host: {by: host, concurrency: 2, rate: 30/m, jitter: 0.1}\n"
            "hosts:\n"
            "  - {match: '*.example.com', rate: 4/s, windows: '22:00-06:00 Europe/Berlin'}\n"
            "  - {match: 127.0.0.1, concurrency: null, rate: null}\n"
            "rate: 100/s\n"
            "circuit: {failures: 9, open_for: 2s, max_open: 1m}\n"
            "retry: {budget: null}",
        )
    )

    plan = job.plan()

    assert plan.retry.budget is None
    assert plan.politeness == Politeness(
        by="host",
        limits=HostLimits(2, 0.5, 1, 0.1),
        rules=(
            HostRule("*.example.com", HostLimits(2, 4.0, 1, 0.1), (parse_window("22:00-06:00 Europe/Berlin"),)),
            HostRule("127.0.0.1", HostLimits(None, None, 1, 0.1)),
        ),
        rate=100.0,
        circuit=CircuitPolicy(9, 2.0, 60.0),
    )
    assert politeness_of(job._model) == plan.politeness


def test_limits_of_a_run(tmp_path: Path) -> None:
    """Durations, sizes and shares come as numbers."""
    job = load_job(
        write(
            tmp_path,
            "stop: {after: 1h, requests: 5, bytes: 1MB, failures: 3, failure_ratio: 5%, failure_ratio_window: 50,"
            " consecutive_failures: 2}",
        )
    )

    assert stop_limits_of(job._model) == StopLimits(3600.0, 5, 1_000_000, 3, 0.05, 50, 2)
