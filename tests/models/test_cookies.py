"""`Cookies`, and the rules of the jar behind it (RFC 6265, and what a hostile server would try)."""

from __future__ import annotations

import subprocess
import sys
from http.cookiejar import CookieJar, DefaultCookiePolicy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import CookieConflict
from crawler.models import Cookies, Request, Response
from crawler.models.cookie_jar import MAX_HEADER_BYTES, HostIndexedJar
from crawler.models.public_suffixes import is_public_suffix


def received(url: str, *set_cookie: str | bytes, cookies: Cookies | None = None) -> Cookies:
    """The cookies after a response from `url` with these `Set-Cookie` fields."""
    fields = [(b"Set-Cookie", value.encode() if isinstance(value, str) else value) for value in set_cookie]
    cookies = Cookies() if cookies is None else cookies
    cookies.extract_cookies(Response(200, headers=fields, request=Request("GET", url)))
    return cookies


def sent(cookies: Cookies, url: str) -> set[str]:
    """The cookies that go to `url`."""
    request = Request("GET", url)
    cookies.set_cookie_header(request)
    value = request.headers.get("cookie")
    return set() if value is None else set(value.split("; "))


def test_mapping() -> None:
    """Cookies are a mapping of name to value."""
    cookies = Cookies({"name": "value"})

    assert cookies["name"] == "value"
    assert "name" in cookies
    assert len(cookies) == 1
    assert dict(cookies) == {"name": "value"}
    assert cookies
    del cookies["name"]
    assert not cookies
    assert cookies.get("name") is None
    assert cookies.get("name", "x") == "x"
    with pytest.raises(KeyError):
        cookies["name"]


def test_sources() -> None:
    """Dicts, pairs and other Cookies are copied; a jar is taken itself."""
    pairs = Cookies([("a", "1"), ("b", "2")])
    jar = CookieJar()

    assert dict(pairs) == {"a": "1", "b": "2"}
    made = Cookies(pairs)
    made["c"] = "3"
    assert dict(pairs) == {"a": "1", "b": "2"}
    assert Cookies(jar).jar is jar
    assert not Cookies(Cookies())
    pairs.update({"b": "9"})
    pairs.update(None)
    assert dict(pairs) == {"a": "1", "b": "9"}


def test_domains_and_paths() -> None:
    """The same name may stand for several domains and paths; asking for it alone is a conflict."""
    cookies = Cookies()
    cookies.set("n", "1", domain="example.com", path="/a")
    cookies.set("n", "2", domain="example.com", path="/b")
    cookies.set("n", "3", domain="example.org")

    with pytest.raises(CookieConflict, match=r"name=n.*example\.com.*example\.org"):
        cookies["n"]
    assert cookies.get("n", domain="example.org") == "3"
    assert cookies.get("n", domain="example.com", path="/b") == "2"
    cookies.clear(domain="example.com", path="/a")
    assert len(cookies) == 2
    cookies.delete("n", domain="example.com", path="/b")
    assert cookies["n"] == "3"
    cookies.delete("n", domain="example.net")
    assert len(cookies) == 1
    cookies.clear(domain="example.org")
    assert not cookies
    with pytest.raises(ValueError, match="domain"):
        cookies.clear(path="/")
    cookies.clear()


def test_repr() -> None:
    """The repr names cookies and domains, as HTTPX's does."""
    cookies = Cookies()
    cookies.set("foo", "bar", domain="blah.com")

    assert repr(cookies) == "<Cookies[<Cookie foo=bar for blah.com />]>"


def test_own_cookie_header_stays() -> None:
    """A Cookie field that the request has already is left alone."""
    request = Request("GET", "http://h.test/", headers={"Cookie": "own=1"})

    Cookies({"a": "1"}).set_cookie_header(request)

    assert request.headers["cookie"] == "own=1"


def test_cookies_by_hand_go_everywhere() -> None:
    """A cookie set without a domain goes to every host, one with a domain to that and its subdomains."""
    cookies = Cookies({"a": "1"})
    cookies.set("b", "2", domain="example.com")

    assert sent(cookies, "http://any.test/x") == {"a=1"}
    assert sent(cookies, "http://example.com/") == {"a=1", "b=2"}
    assert sent(cookies, "http://sub.example.com/") == {"a=1", "b=2"}
    assert sent(cookies, "http://xexample.com/") == {"a=1"}


def test_received_cookies_go_back_where_they_belong() -> None:
    """Host, domain and path decide where a received cookie goes (RFC 6265 §5.4)."""
    cookies = received(
        "http://www.example.com/a/b", "host=1", "domain=2; Domain=EXAMPLE.com; Path=/", "path=3; Path=/x"
    )

    assert sent(cookies, "http://www.example.com/a/c") == {"host=1", "domain=2"}
    assert sent(cookies, "http://www.example.com/ab") == {"domain=2"}
    assert sent(cookies, "http://www.example.com/x/y") == {"domain=2", "path=3"}
    assert sent(cookies, "http://www.example.com/xy") == {"domain=2"}
    assert sent(cookies, "http://example.com/a/c") == {"domain=2"}
    assert sent(cookies, "http://sub.www.example.com/a/c") == {"domain=2"}
    assert sent(cookies, "http://example.com.evil.test/a/c") == set()


@pytest.mark.parametrize(
    ("url", "set_cookie"),
    [
        ("http://www.example.com/", "a=1; Domain=other.com"),
        ("http://www.example.com/", "a=1; Domain=OTHER.com"),
        ("http://www.example.com/", "a=1; Domain=sub.www.example.com"),
        ("http://www.example.com/", "a=1; Domain=ample.com"),
        ("http://www.example.com/", "a=1; Domain=com"),
        ("http://www.example.com/", "a=1; Domain=.COM"),
        ("http://www.example.co.uk/", "a=1; Domain=co.uk"),
        ("http://user.github.io/", "a=1; Domain=github.io"),
        ("http://127.0.0.1/", "a=1; Domain=0.0.1"),
        ("http://127.0.0.1/", "a=1; Domain=.0.0.1"),
        ("http://127.0.0.1/", "a=1; Domain=1"),
        ("http://[::1]/", "a=1; Domain=1]"),
        ("http://h.test/", "a=1; Secure"),
        ("http://h.test/", "__Secure-a=1"),
        ("https://h.test/", "__Secure-a=1"),
        ("https://h.test/", "__Host-a=1; Secure; Path=/x"),
        ("https://h.test/", "__Host-a=1; Secure; Path=/; Domain=h.test"),
        ("http://h.test/", b"a=\x01"),
        ("http://h.test/", b"a=x\x00y"),
        ("http://h.test/", b"a\x7f=1"),
        ("http://h.test/", f"a={'x' * 4096}"),
        ("http://h.test/", f"a=1; Path=/{'x' * 9000}"),
        ("http://h.test/", "a=1; Max-Age=0"),
        ("http://h.test/", "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
        ("http://h.test/", ""),
        ("http://h.test/", ";;;"),
        ("http://h.test/", "=1"),
    ],
)
def test_refused(url: str, set_cookie: str | bytes) -> None:
    """What is not the host's to set, or could not be sent back, is not kept."""
    assert not received(url, set_cookie)


@pytest.mark.parametrize(
    ("url", "set_cookie"),
    [
        ("http://127.0.0.1:8080/", "a=1"),
        ("http://127.0.0.1/", "a=1; Domain=127.0.0.1"),
        ("http://[::1]:8080/", "a=1"),
        ("http://localhost:8080/", "a=1"),
        ("http://user:pass@h.test/", "a=1"),
        ("http://www.example.co.uk/", "a=1; Domain=example.co.uk"),
        ("https://h.test/", "a=1; Secure; HttpOnly; SameSite=Lax"),
        ("http://h.test/", "a=1; Expires=Tue, 08-Sep-2099 18:33:35 GMT"),
        ("http://h.test/", "a=1; Expires=nonsense"),
        ("http://h.test/", "a=1; Max-Age=100000"),
    ],
)
def test_kept(url: str, set_cookie: str) -> None:
    """Ordinary cookies come back to the URL they came from."""
    assert sent(received(url, set_cookie), url) == {"a=1"}


def test_secure_cookies_need_tls() -> None:
    """A Secure cookie goes over https only."""
    cookies = received("https://h.test/", "a=1; Secure")

    assert sent(cookies, "http://h.test/") == set()
    assert sent(cookies, "https://h.test/") == {"a=1"}


def test_user_information_is_no_part_of_the_host() -> None:
    """A cookie from a URL with credentials goes to the same host without them."""
    assert sent(received("http://u:p@h.test/", "a=1"), "http://h.test/") == {"a=1"}


def test_jar_is_bounded_per_domain() -> None:
    """Thousands of cookies leave the newest 180; the Cookie field stays under 16 KiB."""
    cookies = received("http://h.test/", *(f"c{number}={'v' * 100}" for number in range(2000)))

    names = set(cookies)
    assert len(names) == 180
    assert "c1999" in names
    assert "c0" not in names
    request = Request("GET", "http://h.test/")
    cookies.set_cookie_header(request)
    assert 15 * 1024 < len(request.headers["cookie"]) <= MAX_HEADER_BYTES


def test_jar_is_bounded_in_domains(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crawl over any number of hosts keeps the newest."""
    monkeypatch.setattr("crawler.models.cookie_jar.MAX_DOMAINS", 3)
    cookies = Cookies()

    for number in range(10):
        received(f"http://h{number}.test/", "a=1", cookies=cookies)

    assert {cookie.domain for cookie in cookies.jar} == {"h7.test", "h8.test", "h9.test"}


def test_replacing_a_cookie_counts_once() -> None:
    """Setting the same cookie again neither grows the jar nor drops another."""
    cookies = received("http://h.test/", *(f"c{number}=1" for number in range(180)))

    received("http://h.test/", "c7=2", cookies=cookies)

    assert len(cookies) == 180
    assert cookies["c7"] == "2"


def test_expired_cookies_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie stops being sent when its time is over."""
    cookies = received("http://h.test/", "short=1; Max-Age=10", "long=1; Max-Age=1000", "session=1")
    assert sent(cookies, "http://h.test/") == {"short=1", "long=1", "session=1"}
    first = min(cookie.expires for cookie in cookies.jar if cookie.expires is not None)

    monkeypatch.setattr("time.time", lambda: first + 1.0)

    assert sent(cookies, "http://h.test/") == {"long=1", "session=1"}
    assert set(cookies) == {"long", "session"}


class NoA(DefaultCookiePolicy):
    """A user's policy: the cookie "a" is never sent."""

    def return_ok(self, cookie: object, request: object) -> bool:
        """Everything but "a"."""
        return getattr(cookie, "name", "") != "a"

    def domain_return_ok(self, domain: str, request: object) -> bool:
        """Every domain."""
        return True


def test_policy_of_the_user_is_honoured() -> None:
    """A jar that the user brings keeps its policy, also in copies of the cookies."""
    cookies = Cookies(CookieJar(NoA()))
    cookies.update({"a": "1", "b": "2"})
    cookies.set("c", "3", domain="elsewhere.test")

    assert sent(cookies, "http://h.test/") == {"b=2", "c=3"}
    assert sent(Cookies(cookies), "http://h.test/") == {"b=2", "c=3"}
    assert isinstance(Cookies(cookies).jar, HostIndexedJar)


class Untouchable(CookieJar):
    """A jar that must not be asked."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Fail."""
        raise AssertionError("asked without a Set-Cookie field")


def test_no_work_without_set_cookie() -> None:
    """A response without Set-Cookie costs nothing."""
    Cookies(Untouchable()).extract_cookies(Response(200, request=Request("GET", "http://h.test/")))


def test_no_import_before_the_first_cookie() -> None:
    """Importing the models and making empty cookies leaves the heavy jar modules alone."""
    program = (
        "import sys; from crawler.models import Cookies, Request; c = Cookies(); assert not c;"
        "c.set_cookie_header(Request('GET', 'http://h/')); print('http.cookiejar' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)

    assert done.stdout.strip() == "False"


@given(st.binary(max_size=80))
def test_any_set_cookie_is_harmless(value: bytes) -> None:
    """No Set-Cookie value raises, and whatever is kept can be sent in one line."""
    cookies = received("http://h.test/", value)

    request = Request("GET", "http://h.test/")
    cookies.set_cookie_header(request)
    line = dict(request.headers.raw).get(b"Cookie", b"")
    assert b"\r" not in line
    assert b"\n" not in line
    assert b"\x00" not in line


@pytest.mark.parametrize(
    ("domain", "public"),
    [
        ("com", True),
        ("co.uk", True),
        ("com.au", True),
        ("github.io", True),
        ("s3.amazonaws.com", True),
        ("anything.ck", True),  # the rule is *.ck
        ("www.ck", False),  # but for this one
        ("xn--55qx5d.cn", True),
        ("unlisted", True),
        ("example.com", False),
        ("example.co.uk", False),
        ("bbc.uk", False),
    ],
)
def test_public_suffixes(domain: str, public: bool) -> None:
    """Those of the Public Suffix List, its wildcards and exceptions; ordinary domains are none."""
    assert is_public_suffix(domain) is public
