"""Asking given name servers instead of the system's resolver.

    host ─▶ A and AAAA at once, in one UDP socket ─▶ first server ──silent, or fails──▶ the next, and round again
                                                        │
                                                        └─truncated─▶ the same question over TCP

It blocks: `Lookups` calls it in threads of its own, which all worlds wait for. dnspython (the extra `dns`) writes and
reads the messages. The other library of the field, aiodns, brings c-ares, which knows event loops of asyncio alone.

Sources: RFC 1035 §7, RFC 2308 (how long a name does not exist), RFC 8305 §3 (A and AAAA), RFC 6761 §6.3 (localhost).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final

from crawler.net.resolve import Address, AddressInfo, Rows, literal_address

if TYPE_CHECKING:
    from dns.message import Message

WAITS_S: Final = (1.0, 2.5)
"""How long each server is waited for, round by round."""
OTHER_FAMILY_S: Final = 0.25
"""How long the addresses of one family wait for those of the other."""
MAX_MESSAGE: Final = 65_535
MAX_ADDRESSES: Final = 64

_Answers = dict[str, "Found"]


class Found:
    """What one question has led to.

    Attributes:
        addresses: As text; none if there are none.
        ttl_s: How long that may be believed.
        exists: Whether the name does, with whatever records.
    """

    __slots__ = ("addresses", "exists", "ttl_s")

    def __init__(self, addresses: list[str], ttl_s: float, *, exists: bool) -> None:
        self.addresses = addresses
        self.ttl_s = ttl_s
        self.exists = exists


class NoSuchName(socket.gaierror):
    """The name has no address, by the word of a name server.

    Attributes:
        ttl_s: How long that may be believed.
    """

    def __init__(self, message: str, ttl_s: float) -> None:
        super().__init__(socket.EAI_NONAME, message)
        self.ttl_s = ttl_s


def server_address(text: str) -> Address:
    """Read the address of a name server: `192.0.2.53`, `2001:db8::53`, with a port `192.0.2.53:5353`, `[::1]:5353`.

    Raises:
        ValueError: It is none.
    """
    host, port = text, "53"
    if text.startswith("["):
        host, _, port = text[1:].partition("]:")
        host, port = host.removesuffix("]"), port or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    number = int(port) if port.isascii() and port.isdigit() else 0
    address = literal_address(host, number) if 0 < number < 65_536 else None
    if address is None:
        raise ValueError(
            f"expected the IP address of a name server, like 192.0.2.53 or [2001:db8::53]:53, not {text!r}"
        )
    return address


class NameServers:
    """Asks name servers; safe to use from many threads.

    Args:
        servers: Their addresses; the second is asked where the first fails, and so on.
        family: The one family of addresses that is wanted; `socket.AF_UNSPEC` (0) for both.

    Raises:
        ValueError: One of them is no address.
    """

    def __init__(self, servers: Sequence[str], family: int = 0) -> None:
        self._servers = [server_address(server) for server in servers]
        self._kinds = [kind for kind, of in (("AAAA", socket.AF_INET6), ("A", socket.AF_INET)) if family in (0, of)]
        self._first = 0  # the one that answered last: after a failure the others are asked first

    def __call__(self, host: str, port: int) -> Sequence[AddressInfo] | Exception:
        """Give the addresses of `host` in the order of trying, or why there are none."""
        name = host.rstrip(".").lower()
        if name == "localhost" or name.endswith(".localhost"):
            return _rows([Found(["::1"], 3600, exists=True), Found(["127.0.0.1"], 3600, exists=True)], port)
        try:
            answers = self._ask_all(name)
        except ValueError as exc:  # a name that cannot be asked for
            return socket.gaierror(socket.EAI_NONAME, str(exc))
        found = [answer for answer in answers.values() if answer.addresses]
        if found:
            return _rows(found, port)
        if _is_settled(answers, self._kinds):
            ttl_s = min(answer.ttl_s for answer in answers.values())
            exists = all(answer.exists for answer in answers.values())
            return NoSuchName("the name exists, but has no address" if exists else "there is no such name", ttl_s)
        return socket.gaierror(socket.EAI_AGAIN, "no name server answered")

    def _ask_all(self, name: str) -> _Answers:
        import dns.exception
        import dns.message

        try:
            queries = {kind: dns.message.make_query(name + ".", kind) for kind in self._kinds}
        except dns.exception.DNSException as exc:
            raise ValueError(str(exc) or "not a name") from exc
        answers: _Answers = {}
        order = range(self._first, self._first + len(self._servers))
        for wait_s in WAITS_S:
            for number in order:
                server = number % len(self._servers)
                missing = {kind: query for kind, query in queries.items() if kind not in answers}
                answers.update(_ask(self._servers[server], missing, wait_s))
                if _is_settled(answers, self._kinds) or any(answer.addresses for answer in answers.values()):
                    self._first = server
                    return answers
        return answers


def _is_settled(answers: Mapping[str, Found], kinds: Sequence[str]) -> bool:
    """Whether there is nothing more to ask: a name that does not exist has no records of any kind."""
    return len(answers) == len(kinds) or any(not answer.exists for answer in answers.values())


def _ask(server: Address, queries: Mapping[str, Message], wait_s: float) -> _Answers:
    """Ask one server; gives what it has said in time, nothing where it could not or would not."""
    answers: _Answers = {}
    deadline = monotonic() + wait_s
    try:
        with socket.socket(server.family, socket.SOCK_DGRAM) as sock:
            sock.connect(server.sockaddr)  # only what comes from there is taken
            for query in queries.values():
                sock.send(query.to_wire())
            while len(answers) < len(queries):
                left = deadline - monotonic()
                sock.settimeout(max(0.0, left))  # what lies there already counts, however late we look
                kind, response = _match(sock.recv(MAX_MESSAGE), queries)
                if response is None:
                    if left <= 0:
                        break
                    continue
                found = _read(_whole(response, queries[kind], server, wait_s))
                if found is None:
                    break  # it answers, but does not know: the next may
                answers[kind] = found
                if not found.exists:
                    break
                if found.addresses:
                    deadline = min(deadline, monotonic() + OTHER_FAMILY_S)
    except OSError:  # silence, or nobody listens there
        pass
    return answers


def _match(data: bytes, queries: Mapping[str, Message]) -> tuple[str, Message | None]:
    """Read a message, and say which question it answers; what answers none may be anybody's."""
    import dns.exception
    import dns.message

    try:
        response = dns.message.from_wire(data, ignore_trailing=True, raise_on_truncation=False)
    except (dns.exception.DNSException, ValueError):
        return "", None
    for kind, query in queries.items():
        if query.is_response(response):
            return kind, response
    return "", None


def _whole(response: Message, query: Message, server: Address, wait_s: float) -> Message:
    """The response, asked for over TCP where it did not fit into a datagram."""
    import dns.exception
    import dns.flags
    import dns.query

    if not response.flags & dns.flags.TC:
        return response
    try:
        return dns.query.tcp(query, server.host, timeout=wait_s, port=server.port)
    except (dns.exception.DNSException, EOFError) as exc:
        raise OSError(str(exc)) from exc


def _read(response: Message) -> Found | None:
    """Take addresses out of a response, through its aliases; None if the server could not say."""
    import dns.exception
    import dns.message
    import dns.rcode

    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    assert isinstance(response, dns.message.QueryMessage)
    try:
        chain = response.resolve_chaining()
    except dns.exception.DNSException:
        return None
    records = [] if chain.answer is None else list(chain.answer)[:MAX_ADDRESSES]
    exists = response.rcode() == dns.rcode.NOERROR
    return Found([record.address for record in records], chain.minimum_ttl, exists=exists)


def _rows(found: Sequence[Found], port: int) -> Rows:
    """Rows as of `getaddrinfo`: IPv6 first, unless this machine cannot get there (RFC 6724 §6, rules 1 and 6)."""
    texts = [text for answer in found for text in answer.addresses]
    addresses = [address for text in texts if (address := literal_address(text, port)) is not None]
    addresses.sort(key=lambda address: address.family != socket.AF_INET6)
    if addresses and addresses[0].family == socket.AF_INET6 and not _has_route(addresses[0]):
        addresses.sort(key=lambda address: address.family == socket.AF_INET6)
    return Rows.of(addresses, min(answer.ttl_s for answer in found))


def _has_route(address: Address) -> bool:
    """Whether there is a way to an address; asks the routing table and sends nothing."""
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM) as sock:
            sock.connect(address.sockaddr)
    except OSError:
        return False
    return True
