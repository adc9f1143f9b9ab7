from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.jobs.urls import url_problem


@pytest.mark.parametrize(
    "url", ["http://h", "HTTPS://h/a b", "http://[::1]:8/", "https://ü.example/?q=ö#f", "http://u:p@h/"]
)
def test_absolute_urls(url: str) -> None:
    """Nothing speaks against http and https URLs; the client parses them in full later."""
    assert url_problem(url, testbed=False) is None
    assert url_problem(url, testbed=True) is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("example.org/a", "'example.org/a' has no scheme; write https://example.org/a"),
        ("localhost:8080/a", "'localhost:8080/a' has no scheme; write https://localhost:8080/a"),
        ("//example.org/a", "'//example.org/a' has no scheme; write https://example.org/a"),
        ("ftp://h/", "'ftp://h/': the scheme ftp: is not http or https"),
        ("mailto:a@example.org", "'mailto:a@example.org': the scheme mailto: is not http or https"),
        ("https:///a", "'https:///a' names no host"),
        ("http:/h/a", "'http:/h/a' names no host"),
        ("", "the URL is empty"),
        ("http://h/\r\nX: y", "'http://h/\\r\\nX: y' holds a control character"),
        ("/get", "'/get' has no scheme and host; only a job with `testbed: true` takes such URLs"),
    ],
)
def test_what_is_no_url(url: str, problem: str) -> None:
    """Each message shows the text and what to write."""
    assert url_problem(url, testbed=False) == problem


def test_testbed_urls() -> None:
    """Only with the testbed does a path alone say where to go."""
    assert url_problem("/get?a=1", testbed=True) is None
    assert url_problem("get", testbed=True) is not None


@given(st.text())
def test_any_text(url: str) -> None:
    """What passes is http, and one line."""
    if url_problem(url, testbed=False) is None:
        assert url.lower().startswith(("http://", "https://"))
        assert "\n" not in url
