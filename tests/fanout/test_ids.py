"""Names of runs and requests."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout import Item
from crawler.fanout.ids import canonical_url, fingerprint, fingerprint_text, new_run_id
from crawler.models import URL


def test_run_ids_sort_by_time_and_never_repeat() -> None:
    """A ULID: 26 characters of Crockford's alphabet, of which the first ten are the millisecond."""
    ids = [new_run_id(now) for now in (1.0, 1.5, 2.0, 1e9, 1e10)]

    assert ids == sorted(ids)
    assert new_run_id(1469918176.385, bytes(10)) == "01ARYZ6S410000000000000000"
    assert all(re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", one) for one in ids)
    assert len({new_run_id() for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("http://H.example/a", "http://h.example/a"),
        ("http://h.example", "http://h.example/"),
        ("http://h.example:80/", "http://h.example/"),
        ("https://h.example:443/a", "https://h.example/a"),
        ("http://h.example/a#part", "http://h.example/a"),
        ("http://h.example/a/../b", "http://h.example/b"),
        ("http://h.example/ä", "http://h.example/%C3%A4"),
    ],
)
def test_spellings_of_one_url_are_one_request(left: str, right: str) -> None:
    """What the client would send alike is fetched once."""
    assert fingerprint(Item(left)) == fingerprint(Item(right))


def test_different_requests_are_different() -> None:
    """Method and body count, headers and key do not."""
    plain = Item("http://h.example/")
    others = [
        Item("http://h.example/", method="HEAD"),
        Item("http://h.example/", body=b"x"),
        Item("http://h.example/?"),
        Item("http://h.example/A"),
    ]

    assert len({fingerprint(item) for item in [plain, *others]}) == 5
    assert fingerprint(Item("http://h.example/", key="7", headers=(("A", "b"),))) == fingerprint(plain)
    assert re.fullmatch(r"b2:[0-9a-f]{32}", fingerprint_text(fingerprint(plain)))


@given(st.text(max_size=40) | st.from_regex(r"https?://[a-z.]{1,5}/[!-~]{0,20}", fullmatch=True))
def test_the_short_way_agrees_with_the_parser(url: str) -> None:
    """A URL that is taken as canonical unseen is one that the parser leaves as it is; no text raises."""
    canonical = canonical_url(url)

    assert canonical_url(canonical) == canonical
    if canonical == url and url.startswith("http") and "#" not in url:
        try:
            assert str(URL(url)) == url
        except Exception as error:  # no URL: stays as it is
            assert type(error).__name__ == "InvalidURL"  # noqa: PT017 -- either way is right
