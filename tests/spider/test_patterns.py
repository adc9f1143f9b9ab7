"""Patterns for URLs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.spider.errors import BadExpression, SelectorTimeout
from crawler.spider.patterns import compile_regex, glob_to_regex, url_pattern

CASES = [
    ("https://h/p/**", "https://h/p/a/b?x=1", True),
    ("https://h/p/*", "https://h/p/a", True),
    ("https://h/p/*", "https://h/p/a/b", False),
    ("**/cart/**", "https://h/cart/1", True),
    ("**?sort=*", "https://h/p?sort=price/asc", True),
    ("**?sort=*", "https://h/p?page=1&sort=x", False),
    ("**?sort=*", "https://h/psort=1", False),
    ("/p/*", "https://any.host:81/p/7", True),
    ("/p/*", "https://h/x/p/7", False),
    ("**.pdf", "https://h/a.pdf", True),
    ("**.pdf", "https://h/a-pdf", False),
    ("re:^https://h/c/[a-z-]+$", "https://h/c/tea-pots", True),
    ("re:^https://h/c/[a-z-]+$", "https://h/c/tea/1", False),
]


@pytest.mark.parametrize(("pattern", "url", "matches"), CASES)
def test_what_matches(pattern: str, url: str, matches: bool) -> None:
    """`*` stops at slashes, `**` at nothing, `?` is itself."""
    assert url_pattern(pattern)(url) is matches


@pytest.mark.parametrize("pattern", ["re:(", "re:*", "example", "", "re:" + "a" * 20_000])
def test_bad_patterns_are_refused(pattern: str) -> None:
    """A pattern that can match nothing, or does not compile, is an error."""
    with pytest.raises(BadExpression):
        url_pattern(pattern)


def test_a_pattern_that_runs_away_is_stopped() -> None:
    """Catastrophic backtracking ends after its time."""
    matches = url_pattern(r"re:^http://h/(\w|\w\w|\w+)*-$")

    with pytest.raises(SelectorTimeout):
        matches("http://h/" + "a" * 200)


@given(st.text(alphabet="ab/?*.", max_size=12), st.text(alphabet="ab/?.", max_size=12))
def test_a_text_matches_itself(glob: str, text: str) -> None:
    """A glob without stars matches exactly its own text."""
    literal = glob.replace("*", "")
    assert (compile_regex(glob_to_regex(literal)).fullmatch(text) is not None) == (literal == text)
