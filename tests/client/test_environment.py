"""Patterns over URLs and the proxies of the environment.

The tables were compared with httpx2 2.16.2; rows where it differs are marked by a word of why.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.client.environment import URLPattern, environment_proxies
from crawler.errors import InvalidURL
from crawler.models import URL

HOLDS = [
    ("", "http://example.com/"),
    ("all://", "https://example.com:123/path"),
    ("all:", "http://example.com/"),
    ("all://*", "http://example.com/"),
    ("http://", "http://example.com/"),
    ("http://*", "http://example.com/"),
    ("http://example.com", "http://example.com/a?b"),
    ("http://example.com", "http://example.com:8080/"),
    ("all://example.com", "https://example.com/"),
    ("all://EXAMPLE.com", "https://example.com/"),
    ("all://example.com/path", "https://example.com/other"),
    ("all://user:password@example.com", "https://example.com/"),
    ("all://*.example.com", "http://www.example.com/"),
    ("all://*.example.com", "http://a.b.example.com/"),
    ("all://*example.com", "http://example.com/"),
    ("all://*example.com", "http://www.example.com/"),
    ("all://*co.uk", "http://www.bbc.co.uk/"),
    ("https://example.com:8443", "https://example.com:8443/"),
    ("http://*.example.com:8080", "http://www.example.com:8080/"),
    ("all://*:8443", "https://anything.test:8443/"),
    ("all://:8443", "https://anything.test:8443/"),
    ("all://münchen.de", "https://münchen.de/"),
    ("all://xn--mnchen-3ya.de", "https://münchen.de/"),
    ("all://*.münchen.de", "https://www.münchen.de/"),  # httpx2 refuses the pattern
    ("all://10.1.2.3", "http://10.1.2.3/"),
    ("all://10.0.0.0/8", "http://10.1.2.3:8080/"),
    ("all://10.9.9.9/8", "http://10.1.2.3/"),
    ("https://10.0.0.0/8", "https://10.1.2.3/"),
    ("all://0.0.0.0/0", "http://8.8.8.8/"),
    ("all://[::1]", "http://[::1]:8080/"),
    ("all://[::1]", "http://[0:0:0:0:0:0:0:1]/"),  # httpx2 compares the text
    ("all://[::1]:80", "http://[::1]/"),  # httpx2 compares with the port written in the URL
    ("all://example.com:443", "https://example.com/"),  # the same
    ("all://[fd00::]/8", "http://[fd12:3456::1]/"),
]

DOES_NOT_HOLD = [
    ("http://", "https://example.com/"),
    ("http://example.com", "https://example.com/"),
    ("all://example.com", "http://www.example.com/"),
    ("all://example.com", "http://badexample.com/"),
    ("all://*.example.com", "http://example.com/"),
    ("all://*.example.com", "http://badexample.com/"),
    ("all://*example.com", "http://badexample.com/"),
    ("all://*example.com", "http://example.com.evil.test/"),
    ("all://exampleXcom", "http://example.com/"),
    ("all://example.com", "http://exampleXcom/"),
    ("https://example.com:8443", "https://example.com/"),
    ("https://example.com:443", "https://example.com:8443/"),  # httpx2 drops the default port of a pattern
    ("all://*:8443", "https://example.com/"),
    ("all://10.1.2.3", "http://10.1.2.30/"),
    ("all://10.0.0.0/8", "http://11.0.0.1/"),
    ("all://10.0.0.0/8", "http://ten.test/"),
    ("all://10.0.0.0/8", "http://[fd00::1]/"),
    ("http://10.0.0.0/8", "https://10.1.2.3/"),
    ("all://[fd00::]/8", "http://[fe80::1]/"),
    ("all://[::1]", "http://127.0.0.1/"),
    ("all://[::1]", "http://[::2]/"),
]


@pytest.mark.parametrize(("pattern", "url"), HOLDS)
def test_patterns_hold(pattern: str, url: str) -> None:
    """The URL is in the set."""
    assert URLPattern(pattern).matches(URL(url))


@pytest.mark.parametrize(("pattern", "url"), DOES_NOT_HOLD)
def test_patterns_do_not_hold(pattern: str, url: str) -> None:
    """The URL is not in the set."""
    assert not URLPattern(pattern).matches(URL(url))


@pytest.mark.parametrize("pattern", ["http", "all", "example.com"])
def test_a_plain_word_is_refused_with_advice(pattern: str) -> None:
    """The scheme's colon is asked for, as HTTPX does."""
    with pytest.raises(ValueError, match=f'use "{pattern}://"'):
        URLPattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "all://[::1",
        "all://::1]",
        "all://[foo]",
        "all://[zz]/8",
        "all://[::::]",
        "all://example.com:port",
        "all://example.com:99999",
        "all://10.0.0.0/33",
        "all://10.0.0.0/x",
        "all://10.0.0.0/8/9",
        "all://10.0.0.0/\N{ARABIC-INDIC DIGIT EIGHT}",
        "all://[::1]/129",
        "all://two words",
        "all://*.",
        "://example.com:1:2",
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    """Bad brackets, ports and networks are told, not silently kept without effect."""
    with pytest.raises(InvalidURL):
        URLPattern(pattern)


def test_the_most_specific_pattern_comes_first() -> None:
    """A port, then hosts, then networks by size, then schemes, whatever order they were given in."""
    expected = [
        "http://example.com:8080",
        "all://*:8080",
        "all://www.example.com",
        "https://example.com",
        "all://example.com",
        "all://*.example.com",
        "all://*example.com",
        "all://10.1.0.0/16",
        "all://10.0.0.0/8",
        "all://[fd00::]/8",
        "https://",
        "all://",
    ]

    assert [pattern.pattern for pattern in sorted(map(URLPattern, reversed(expected)))] == expected


def test_patterns_are_keys() -> None:
    """Patterns of the same text are the same key."""
    assert URLPattern("all://") == URLPattern("all://")
    assert len({URLPattern("all://"), URLPattern("all://"), URLPattern("http://")}) == 2
    assert URLPattern("all://") != "all://"
    assert repr(URLPattern("all://")) == "URLPattern('all://')"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of this machine counts, and no system settings."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "REQUEST_METHOD":
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "platform", "linux")


ENVIRONMENTS: list[tuple[dict[str, str], dict[str, str | None]]] = [
    ({}, {}),
    ({"HTTP_PROXY": "http://a:1"}, {"http://": "http://a:1"}),
    ({"http_proxy": "http://a:1"}, {"http://": "http://a:1"}),
    ({"HTTPS_PROXY": "a:1"}, {"https://": "http://a:1"}),
    ({"ALL_PROXY": "socks5://a:1"}, {"all://": "socks5://a:1"}),
    ({"All_Proxy": "socks5://a:1"}, {"all://": "socks5://a:1"}),
    ({"HTTP_PROXY": "upper", "http_proxy": "lower"}, {"http://": "http://lower"}),
    ({"HTTP_PROXY": "upper", "http_proxy": ""}, {}),
    ({"HTTP_PROXY": ""}, {}),
    ({"TRAVIS_APT_PROXY": "http://a:1"}, {}),
    ({"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, {}),
    ({"http_proxy": "http://a:1", "REQUEST_METHOD": "GET"}, {"http://": "http://a:1"}),
    ({"HTTPS_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, {"https://": "http://a:1"}),
    ({"HTTP_PROXY": "http://a:1", "NO_PROXY": "*"}, {}),
    ({"HTTP_PROXY": "http://a:1", "NO_PROXY": "b.test, *"}, {}),
    ({"NO_PROXY": "b.test"}, {"all://*b.test": None}),
    ({"NO_PROXY": "", "HTTP_PROXY": "http://a:1"}, {"http://": "http://a:1"}),
    ({"NO_PROXY": "b.test", "no_proxy": "c.test"}, {"all://*c.test": None}),
]

NO_PROXY: list[tuple[str, list[str]]] = [
    ("example.com", ["all://*example.com"]),
    (".example.com", ["all://*.example.com"]),
    ("*.example.com", ["all://*.example.com"]),
    (" a.test ,, b.test,", ["all://*a.test", "all://*b.test"]),
    ("example.com:8080", ["all://*example.com:8080"]),
    ("localhost", ["all://localhost"]),
    ("LOCALHOST", ["all://LOCALHOST"]),
    ("127.0.0.1", ["all://127.0.0.1"]),
    ("10.0.0.0/8", ["all://10.0.0.0/8"]),
    ("10.0.0.1:80", ["all://*10.0.0.1:80"]),
    ("::1", ["all://[::1]"]),
    ("fd00::/8", ["all://[fd00::]/8"]),
    ("[::1]", ["all://[::1]"]),
    ("[::1]:80", ["all://[::1]:80"]),
    ("[fd00::]/8", ["all://[fd00::]/8"]),
    ("https://example.com:8080", ["https://example.com:8080"]),
    ("münchen.de", ["all://*münchen.de"]),  # httpx2 ignores it
    ("10.0.0.0/33", []),
    ("example.com/8", []),
    ("*.example.com/8", []),
    ("[::1", []),
    ("[foo]", []),
    ("x:y", []),
    ("two words", []),  # httpx2 keeps what can never match
    (".", []),  # the same
]


@pytest.mark.parametrize(("variables", "mounts"), ENVIRONMENTS)
def test_the_environment_is_read(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], mounts: dict[str, str | None]
) -> None:
    """Variables become mounts by the rules of curl and Python."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert environment_proxies() == mounts


@pytest.mark.parametrize(("entries", "patterns"), NO_PROXY)
def test_no_proxy_becomes_patterns(monkeypatch: pytest.MonkeyPatch, entries: str, patterns: list[str]) -> None:
    """Each entry that can be understood switches proxies off for what it names; the others are ignored."""
    monkeypatch.setenv("ALL_PROXY", "http://a:1")
    monkeypatch.setenv("NO_PROXY", entries)

    assert environment_proxies() == {"all://": "http://a:1"} | dict.fromkeys(patterns)
    assert all(URLPattern(pattern) for pattern in patterns)


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_systems_with_settings_are_asked(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """Windows and macOS keep proxies in their settings, which count where no variable is set."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": "http://system:1", "no": "b.test", "ftp": "x"})

    assert environment_proxies() == {"http://": "http://system:1", "all://*b.test": None}

    monkeypatch.setenv("HTTPS_PROXY", "http://a:1")

    assert environment_proxies() == {"https://": "http://a:1"}


def test_reading_the_environment_imports_nothing_heavy() -> None:
    """Every client reads the environment, so it must not bring urllib.request (35 ms) along."""
    code = (
        "import sys; from crawler.client.environment import environment_proxies; environment_proxies(); "
        "print('urllib.request' in sys.modules, 'email' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert done.stdout.split() == ["False", "False"]
