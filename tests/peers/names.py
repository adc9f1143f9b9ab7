"""A name server on 127.0.0.1 that says what it is told: UDP, and TCP on the same port."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

SILENCE = "silence"
GARBAGE = "garbage"


class NameServer:
    """Serves within a `with` block.

    Attributes:
        records: What it knows: name -> lines of a zone file without the name, like `60 IN A 127.0.0.1`. An alias
            brings the records of its target. A name without lines exists, and has none.
        trouble: Name -> an rcode (`SERVFAIL`), `silence` or `garbage`; `*` is all names.
        truncates: Whether answers over UDP are cut.
        asked: Every question over UDP, as `A name`, and over TCP, as `tcp A name`.
        address: As an option takes it.
    """

    def __init__(self, records: dict[str, list[str]] | None = None) -> None:
        self.records = records or {}
        self.trouble: dict[str, str] = {}
        self.truncates = False
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        while True:  # until the port is free for both
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.bind(("127.0.0.1", 0))
            try:
                self._tcp = socket.create_server(self._udp.getsockname())
                break
            except OSError:
                self._udp.close()
        host, port = self._udp.getsockname()
        self.address = f"{host}:{port}"
        self._threads = [threading.Thread(target=serve, daemon=True) for serve in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for sock in (self._udp, self._tcp):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes who waits on it
            sock.close()
        for thread in self._threads:
            thread.join(5.0)

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, peer = self._udp.recvfrom(65_535)
                if not data:
                    return
                answer = self._answer(data, "")
                if answer is not None:
                    self._udp.sendto(answer, peer)

    def _serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._tcp.accept()
                with connection:
                    connection.settimeout(5.0)
                    size = int.from_bytes(connection.recv(2), "big")
                    answer = self._answer(connection.recv(size), "tcp ") or b""
                    connection.sendall(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, data: bytes, prefix: str) -> bytes | None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append(f"{prefix}{dns.rdatatype.to_text(question.rdtype)} {name}")
        trouble = self.trouble.get(name) or self.trouble.get("*")
        if trouble == SILENCE:
            return None
        if trouble == GARBAGE:
            return b"\x00garbage"
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if trouble:
            response.set_rcode(dns.rcode.from_text(trouble))
        elif self.truncates and not prefix:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, question.rdtype)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: dns.rdatatype.RdataType) -> None:
        lines = self.records.get(name)
        if lines is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
            soa = ("test.", 300, "IN", "SOA", "ns.test. admin.test. 1 2 3 4 7")
            response.authority.append(dns.rrset.from_text(*soa))
            return
        wanted = {dns.rdatatype.to_text(kind), "CNAME"}
        for ttl, _, of, value in (line.split(maxsplit=3) for line in lines):
            if of in wanted:
                response.answer.append(dns.rrset.from_text(f"{name}.", int(ttl), "IN", of, value))
            if of == "CNAME":
                self._fill(response, value.rstrip("."), kind)
