from __future__ import annotations

from crawler.jobs.findings import Finding, JobError, Mark


def test_places() -> None:
    """A place in a file has line and column; an option has none."""
    assert str(Finding(Mark("job.yaml", 3, 5), "wrong")) == "job.yaml:3:5: wrong"
    assert str(Finding(Mark("--set a=1"), "wrong")) == "--set a=1: wrong"


def test_an_error_holds_all_findings_in_order() -> None:
    """By place, each once."""
    first, second = Finding(Mark("a", 2, 1), "x"), Finding(Mark("a", 10, 1), "y")
    error = JobError([second, first, second])
    assert error.findings == (first, second)
    assert str(error) == "a:2:1: x\na:10:1: y"


def test_what_is_shown_is_bounded() -> None:
    """Long messages are cut, and many findings counted; none is lost from `findings`."""
    assert len(str(Finding(Mark("a"), "x" * 100_000))) < 600
    error = JobError([Finding(Mark("a", line, 1), "x") for line in range(1, 1001)])
    assert len(error.findings) == 1000
    assert str(error).endswith("a:100:1: x\nand 900 more findings")
