"""Name servers of one's own choice, asked over UDP on 127.0.0.1."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from crawler.errors import ConnectError
from crawler.net import name_servers
from crawler.net.lookup import lookups, lookups_for
from crawler.net.name_servers import NameServers, server_address
from crawler.net.resolve import Rows, addresses_from, learn_addresses
from crawler.net.route import Names
from tests.peers.names import GARBAGE, SILENCE, NameServer

ZONE = {
    "both.test": ["60 IN A 192.0.2.1", "60 IN A 192.0.2.2", "30 IN AAAA ::1"],
    "four.test": ["7200 IN A 192.0.2.4"],
    "alias.test": ["5 IN CNAME four.test."],
    "empty.test": [],
    "many.test": [f"60 IN A 192.0.2.{number}" for number in range(1, 100)],
}


@pytest.fixture
def server() -> Iterator[NameServer]:
    """One that knows `ZONE`."""
    with NameServer(ZONE) as server:
        yield server


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is given up early."""
    monkeypatch.setattr(name_servers, "WAITS_S", (0.2, 0.4))
    monkeypatch.setattr(name_servers, "OTHER_FAMILY_S", 10.0)


def hosts(answer: object) -> list[str]:
    """The addresses of an answer."""
    assert isinstance(answer, Rows), answer
    return [address.host for address in addresses_from(answer)]


def test_both_families(server: NameServer) -> None:
    """IPv6 first, as this machine gets to ::1; the shorter time to live counts."""
    answer = NameServers([server.address])("both.test", 80)

    assert hosts(answer) == ["::1", "192.0.2.1", "192.0.2.2"]
    assert isinstance(answer, Rows)
    assert answer.ttl_s == 30
    assert sorted(server.asked) == ["A both.test", "AAAA both.test"]


@pytest.mark.parametrize(("family", "expected"), [(socket.AF_INET, "A"), (socket.AF_INET6, "AAAA")])
def test_one_family(server: NameServer, family: int, expected: str) -> None:
    """The other is not asked for."""
    NameServers([server.address], family)("both.test", 80)

    assert server.asked == [f"{expected} both.test"]


def test_aliases(server: NameServer) -> None:
    """Are followed; the shortest time to live of the chain counts."""
    answer = NameServers([server.address])("alias.test", 80)

    assert hosts(answer) == ["192.0.2.4"]
    assert isinstance(answer, Rows)
    assert answer.ttl_s == 5


@pytest.mark.parametrize(
    ("host", "said"), [("missing.test", "no such name"), ("empty.test", "no address"), ("a..b", ""), ("x" * 70, "")]
)
def test_names_without_an_address(server: NameServer, host: str, said: str) -> None:
    """Are known not to exist."""
    answer = NameServers([server.address])(host, 80)

    assert isinstance(answer, socket.gaierror)
    assert answer.errno == socket.EAI_NONAME
    assert said in str(answer)


@pytest.mark.parametrize("trouble", [SILENCE, GARBAGE, "SERVFAIL", "REFUSED"])
def test_the_second_server_is_asked(server: NameServer, trouble: str) -> None:
    """Where the first says nothing, nonsense, or that it cannot say; from then on it is asked first."""
    with NameServer() as bad:
        bad.trouble["*"] = trouble
        ask = NameServers([bad.address, server.address])
        first, second = ask("four.test", 80), ask("four.test", 80)

    assert hosts(first) == hosts(second) == ["192.0.2.4"]
    assert len(bad.asked) == 2


def test_nobody_listens(server: NameServer) -> None:
    """The second is asked at once."""
    with NameServer() as gone:
        pass

    assert hosts(NameServers([gone.address, server.address])("four.test", 80)) == ["192.0.2.4"]


def test_no_server_answers() -> None:
    """A failure that may pass."""
    with NameServer() as silent:
        silent.trouble["*"] = SILENCE
        answer = NameServers([silent.address])("four.test", 80)

    assert isinstance(answer, socket.gaierror)
    assert answer.errno == socket.EAI_AGAIN
    assert len(silent.asked) == 4  # both kinds, twice


def test_an_answer_that_is_cut(server: NameServer) -> None:
    """Is asked for over TCP; of very many addresses some are enough."""
    server.truncates = True
    answer = NameServers([server.address], socket.AF_INET)("many.test", 80)

    assert len(hosts(answer)) == 64
    assert server.asked == ["A many.test", "tcp A many.test"]


def test_localhost(server: NameServer) -> None:
    """Is this machine, whatever a server would say (RFC 6761)."""
    assert set(hosts(NameServers([server.address])("localhost", 80))) == {"127.0.0.1", "::1"}
    assert server.asked == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5353", ("192.0.2.53", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
    ],
)
def test_addresses_of_servers(text: str, expected: tuple[str, int]) -> None:
    """With and without a port."""
    address = server_address(text)

    assert (address.host, address.port) == expected


@pytest.mark.parametrize(
    "text", ["", "dns.example", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:70000", "[::1]:x", "::g"]
)
def test_what_is_no_address(text: str) -> None:
    """Names are not: who would look them up?"""
    with pytest.raises(ValueError, match="name server"):
        server_address(text)


@pytest.mark.parametrize(
    ("names", "ttl_s", "after", "expected"),
    [
        (Names(), None, 9.0, True),
        (Names(), None, 11.0, False),
        (Names(servers=("192.0.2.53",)), 60.0, 59.0, True),
        (Names(servers=("192.0.2.53",)), 60.0, 61.0, False),
        (Names(servers=("192.0.2.53",)), 86_400.0, 3601.0, False),
        (Names(servers=("192.0.2.53",), ttl_s=5.0), 60.0, 6.0, False),
    ],
)
def test_how_long_addresses_are_believed(names: Names, ttl_s: float | None, after: float, expected: bool) -> None:
    """By their record, at most an hour; the system's resolver says nothing of it."""
    cache = names.new_cache()
    rows = Rows([(socket.AF_INET, 1, 6, "", ("192.0.2.1", 80))])
    rows.ttl_s = ttl_s
    learn_addresses(cache, "a.test", 80, rows, now=0.0)

    assert (cache.lookup("a.test", 80, now=after) is not None) is expected


def test_how_long_a_name_does_not_exist(server: NameServer) -> None:
    """As long as its zone says, here 7 s."""
    cache = Names(servers=(server.address,)).new_cache()
    answer = NameServers([server.address])("missing.test", 80)
    with pytest.raises(ConnectError) as caught:
        learn_addresses(cache, "missing.test", 80, answer, now=0.0)

    assert caught.value.kind == "dns_not_found"
    with pytest.raises(ConnectError):
        cache.lookup("missing.test", 80, now=6.0)
    assert cache.lookup("missing.test", 80, now=8.0) is None


def test_who_looks_up() -> None:
    """The same for the same rules; the system's resolver has one for all."""
    own = Names(servers=("192.0.2.53",))

    assert lookups_for(Names()) is lookups_for(Names(ttl_s=1.0)) is lookups
    assert lookups_for(own) is lookups_for(Names(servers=("192.0.2.53",))) is not lookups
    assert lookups_for(Names(concurrency=3)) is not lookups
    with pytest.raises(ValueError, match="name server"):
        lookups_for(Names(servers=("dns.example",)))
