"""What belongs to a crawl."""

from __future__ import annotations

import pytest

from crawler.models.public_suffixes import registrable_domain
from crawler.spider.errors import BadExpression
from crawler.spider.scope import Preset, Scope

SEED = "http://shop.example.co.uk:81/a/index.html"

CASES: list[tuple[Preset, str, bool]] = [
    ("page", SEED, True),
    ("page", "http://shop.example.co.uk:81/a/2", False),
    ("prefix", "http://shop.example.co.uk:81/a/b/c?d", True),
    ("prefix", "http://shop.example.co.uk:81/ab", False),
    ("prefix", "http://other.example.co.uk:81/a/b", False),
    ("host", "http://shop.example.co.uk:81/", True),
    ("host", "https://www.shop.example.co.uk:81/", True),
    ("host", "http://shop.example.co.uk/", False),
    ("host", "http://notshop.example.co.uk:81/", False),
    ("domain", "https://static.example.co.uk/x", True),
    ("domain", "http://example.co.uk/", True),
    ("domain", "http://other.co.uk/", False),
    ("domain", "http://badexample.co.uk/", False),
    ("any", "http://other.test/", True),
]


@pytest.mark.parametrize(("preset", "url", "belongs"), CASES)
def test_presets(preset: Preset, url: str, belongs: bool) -> None:
    """Each preset draws its own line around the seeds."""
    assert (Scope(preset, [SEED]).refusal(url) is None) is belongs


def test_exclude_wins_over_include_and_seeds_belong_always() -> None:
    """Include keeps what matches, exclude takes away, a seed is never refused."""
    scope = Scope("host", ["http://h/"], include=["/p/**"], exclude=["**/cart/**"])

    assert scope.refusal("http://h/") is None
    assert scope.refusal("http://h/p/1") is None
    assert scope.refusal("http://h/p/cart/1") == "excluded by **/cart/**"
    assert scope.refusal("http://h/q") == "matches no pattern of `include`"
    assert scope.refusal("http://i/p/1") == "outside the scope `host` of the seeds"


def test_bad_patterns_and_bad_seeds() -> None:
    """A pattern that does not compile is an error; a seed that is no URL belongs nowhere."""
    with pytest.raises(BadExpression):
        Scope("host", [], include=["re:("])
    assert Scope("host", ["no url", "/x"]).refusal("http://h/") is not None


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("a.b.example.com", "example.com"),
        ("example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("me.github.io", "me.github.io"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_registrable_domains(host: str, domain: str) -> None:
    """The part of a name that somebody registered, by the Public Suffix List."""
    assert registrable_domain(host) == domain
