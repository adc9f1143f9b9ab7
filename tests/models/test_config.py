"""`Timeout`, `Limits` and `Proxy`."""

from __future__ import annotations

import pytest

from crawler.models import URL, USE_CLIENT_DEFAULT, Limits, Proxy, Timeout


@pytest.mark.parametrize(
    ("timeout", "limits", "shown"),
    [
        (Timeout(5.0), (5.0, 5.0, 5.0, 5.0, None), "Timeout(timeout=5.0)"),
        (Timeout(None), (None, None, None, None, None), "Timeout(timeout=None)"),
        (
            Timeout(5.0, connect=1),
            (1, 5.0, 5.0, 5.0, None),
            "Timeout(connect=1, read=5.0, write=5.0, pool=5.0)",
        ),
        (
            Timeout(None, pool=2),
            (None, None, None, 2, None),
            "Timeout(connect=None, read=None, write=None, pool=2)",
        ),
        (
            Timeout(connect=1, read=2, write=3, pool=None),
            (1, 2, 3, None, None),
            "Timeout(connect=1, read=2, write=3, pool=None)",
        ),
        (Timeout((1, 2, 3, 4)), (1, 2, 3, 4, None), "Timeout(connect=1, read=2, write=3, pool=4)"),
        (Timeout(5.0, total=30), (5.0, 5.0, 5.0, 5.0, 30), "Timeout(timeout=5.0, total=30)"),
        (Timeout(total=30), (None, None, None, None, 30), "Timeout(timeout=None, total=30)"),
        (Timeout(Timeout(5.0, total=30), read=1), (5.0, 1, 5.0, 5.0, 30), ""),
    ],
)
def test_timeout(timeout: Timeout, limits: tuple[float | None, ...], shown: str) -> None:
    """A default, single limits, tuples, a total, and another Timeout to start from."""
    assert (timeout.connect, timeout.read, timeout.write, timeout.pool, timeout.total) == limits
    assert timeout == Timeout(timeout)
    assert not shown or repr(timeout) == shown


def test_short_tuple_of_timeouts() -> None:
    """A tuple may end early, as in HTTPX; what is missing is no limit."""
    assert Timeout((1, 2)) == Timeout(connect=1, read=2, write=None, pool=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{}, {"connect": 1.0}, {"connect": 1.0, "read": 1.0, "write": 1.0}, {"total": None}])
def test_timeout_needs_a_default(given: dict[str, float | None]) -> None:
    """Some limits without a default would leave the others to guess."""
    with pytest.raises(ValueError, match="must either include a default, or set all four"):
        Timeout(**given)


def test_timeout_as_dict() -> None:
    """The request extension has `total` only where there is one."""
    assert Timeout(5.0).as_dict() == {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}
    assert Timeout(None, total=1.0).as_dict()["total"] == 1.0
    assert Timeout(5.0) != Timeout(5.0, total=1.0)
    assert Timeout(5.0) != 5.0


def test_limits_beyond_httpx() -> None:
    """They are nowhere to be seen unless set, and are kept when a `Timeout` is changed."""
    timeout = Timeout(5.0, dns=1, tls=2, ttfb=3)

    assert (Timeout(5.0).dns, Timeout(5.0).tls, Timeout(5.0).ttfb) == (None, None, None)
    assert (timeout.dns, timeout.tls, timeout.ttfb) == (1, 2, 3)
    assert timeout.as_dict() == {**Timeout(5.0).as_dict(), "dns": 1, "tls": 2, "ttfb": 3}
    assert repr(timeout) == "Timeout(timeout=5.0, dns=1, tls=2, ttfb=3)"
    assert Timeout(timeout, ttfb=None) == Timeout(5.0, dns=1, tls=2) != timeout


def test_limits() -> None:
    """Limits compare by value and show what they are."""
    limits = Limits(max_connections=100)

    assert limits == Limits(max_connections=100, max_keepalive_connections=None, keepalive_expiry=5.0)
    assert limits != Limits()
    assert limits != 100
    assert repr(limits) == "Limits(max_connections=100, max_keepalive_connections=None, keepalive_expiry=5.0)"


def test_proxy_takes_credentials_out_of_the_url() -> None:
    """A user name and password become `auth`, and never show."""
    proxy = Proxy("http://user:p%C3%BCss@proxy.test:3128", headers={"Proxy-Authorization": "s3kr3t", "X": "y"})

    assert proxy.url == URL("http://proxy.test:3128")
    assert proxy.auth == ("user", "püss")
    assert proxy.raw_auth == (b"user", "püss".encode())
    assert repr(proxy) == (
        "Proxy('http://proxy.test:3128', auth=('user', '********'), "
        "headers={'proxy-authorization': '[secure]', 'x': 'y'})"
    )


def test_proxy_without_credentials() -> None:
    """A plain proxy has neither auth nor headers."""
    proxy = Proxy(URL("socks5h://proxy.test:1080"))

    assert proxy.auth is None
    assert proxy.raw_auth is None
    assert proxy.ssl_context is None
    assert repr(proxy) == "Proxy('socks5h://proxy.test:1080')"
    assert Proxy("https://p", auth=("a", "b")).auth == ("a", "b")


def test_proxy_refuses_other_schemes() -> None:
    """What is no proxy protocol is a ValueError, without the password."""
    with pytest.raises(ValueError, match=r"Unknown scheme for proxy URL URL\('ftp://u:\[secure\]@p'\)"):
        Proxy("ftp://u:secret@p")


def test_marker() -> None:
    """The marker for "not given" says what it is."""
    assert repr(USE_CLIENT_DEFAULT) == "USE_CLIENT_DEFAULT"
