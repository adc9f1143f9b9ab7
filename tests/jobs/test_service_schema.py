"""The keys that the service goes by: what is taken, what is refused, and which addresses a job may reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.jobs import JobError, load_job
from crawler.jobs.cron import cron_problem, expand_cron
from crawler.jobs.network import guard_of
from crawler.jobs.service_schema import Network, Schedule

_JOB = "urls: [https://example.org/]\n"


def _load(tmp_path: Path, text: str) -> Schedule | None:
    path = tmp_path / "job.yaml"
    path.write_text(_JOB + text, encoding="utf-8")
    return load_job(path).schedule


def test_a_schedule_is_read_with_its_defaults(tmp_path: Path) -> None:
    """One cron line stands for a list, and the rest is as documented."""
    schedule = _load(tmp_path, 'schedule: {cron: "30 6 * * 1-5", timezone: Europe/Berlin, jitter: 2m}\n')

    assert schedule is not None
    assert schedule.cron == ["30 6 * * 1-5"]
    assert (schedule.overlap, schedule.catch_up, schedule.start_deadline) == ("skip", "last", 3600.0)
    assert (schedule.jitter, schedule.timeout, schedule.enabled) == (120.0, None, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('schedule: {cron: "0 0 31 2 *"}', "bad day-of-month"),
        ('schedule: {cron: "0 0 29 2 1 *"}', "6 fields instead of five"),
        ('schedule: {cron: "61 * * * *"}', "bad minute"),
        ('schedule: {cron: "@fortnightly"}', "is not one of"),
        ("schedule: {cron: '0 0 * * *', every: 1h}", "not both"),
        ("schedule: {jitter: 1m}", "says no time"),
        ("schedule: {every: 1h, timezone: Europe/Berlin}", "no effect with `every`"),
        ("schedule: {every: 9s}", "10 or more"),
        ("schedule: {every: 10500ms}", "whole seconds"),
        ("schedule: {cron: '@daily', timezone: Mars/Olympus}", "no time zone"),
        ("schedule: {cron: '@daily', timezone: ../../etc/passwd}", "no time zone"),
        ("schedule: {cron: '@daily', overlap: forbid}", "skip or queue or replace or allow"),
        ("notify: {when: failed}", "tells nobody"),
        ("notify: {when: [failed], command: [a], webhook: {url: 'https://example.org'}}", "by one way"),
        ("notify: {when: [done], command: [a]}", "failed or recovered"),
        ("notify: {when: [failed], command: 'rm -rf'}", "expected a list"),
        ("notify: {when: [failed], webhook: {url: 'ftp://example.org'}}", "not http or https"),
        ("notify: {when: [failed], email: {to: nobody}}", "an address like"),
        ("retention: {runs: 0}", "must be at least 1"),
        ("network: {allow: intranet}", "names are known"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Each mistake is a sentence at its place, not a surprise at night."""
    with pytest.raises(JobError) as caught:
        _load(tmp_path, text + "\n")

    assert message in str(caught.value)


def test_a_line_that_never_comes_is_refused() -> None:
    """The 30th of February is found out by the day-of-month or by looking ahead."""
    assert cron_problem("0 0 30 2 *") is not None
    assert cron_problem("0 0 29 2 *") is None


def test_aliases_are_written_out() -> None:
    """`@daily` is midnight, and what is no alias stays as it is."""
    assert expand_cron("@daily") == "0 0 * * *"
    assert expand_cron("5 4 * * sun") == "5 4 * * sun"


def test_the_service_reaches_public_addresses_and_what_is_allowed() -> None:
    """`deny` counts before `allow`, `allow` before the rule of public addresses, also in mapped form."""
    guard = guard_of(Network.model_validate({"allow": ["10.0.0.0/8"], "deny": ["10.9.0.0/16"]}), public_only=True)

    assert guard is not None
    assert guard("10.1.2.3")
    assert guard("::ffff:10.1.2.3")
    assert guard("93.184.215.14")
    assert not guard("10.9.0.1")
    assert not guard("::ffff:10.9.0.1")
    assert not guard("127.0.0.1")
    assert not guard("169.254.169.254")
    assert not guard("no address")


def test_the_command_line_reaches_everything_but_what_is_denied() -> None:
    """Without rules there is no guard at all."""
    assert guard_of(Network(), public_only=False) is None
    guard = guard_of(Network.model_validate({"deny": ["127.0.0.0/8"]}), public_only=False)

    assert guard is not None
    assert not guard("127.0.0.1")
    assert guard("10.0.0.1")
