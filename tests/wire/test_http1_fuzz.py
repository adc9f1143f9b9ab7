"""A differential fuzz: whatever a peer sends, both HTTP/1.1 readers say the same, and raise nothing else.

The same means: both refuse, or status, reason, version, headers, body, trailers, completion, reuse and leftover are
equal. There are no allowed differences. The mutations start from the files under `tests/corpus/http1/`; each file is
also replayed as it is. A crash found by a longer run (`FUZZ_ROUNDS=200000`) becomes a file there, named for its theme.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

CORPUS = sorted((Path(__file__).parent.parent / "corpus" / "http1").glob("*.http"))
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "1500"))
METHODS = ("GET", "GET", "GET", "HEAD", "CONNECT", "POST")
TOKENS = (
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b",", b";", b"\0", b"\x7f", b"\x80", b"0", b"5", b"f"),
    *(b"HTTP/1.1 ", b"HTTP/1.0 ", b"100", b"101", b"204", b"304", b"Content-Length: 5\r\n", b"Content-Length: 6\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"chunked", b"identity", b"gzip, ", b"Connection: close\r\n", b"keep-alive"),
    *(b"Proxy-Connection: close\r\n", b"Connection: keep-alive, close\r\n", b"Connection: foo,  close\t,\r\n"),
    *(b"connection: close x\r\n", b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"\r\n ", b" \r\n", b"5\r\nhello\r\n"),
    *(b"0\r\n\r\n", b"ffffffffffffffff", b"99999999999999999999", b"HTTP/1.1 100 Continue\r\n\r\n"),
)


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A few random changes: cut out, double, replace a byte, put in a token, splice with another file."""
    for _ in range(rng.randint(1, 4)):
        a, b = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        b = min(b, a + rng.choice((1, 2, 8, 64)))
        match rng.randrange(6):
            case 0:
                data = data[:a] + data[b:]
            case 1:
                data = data[:b] + data[a:b] + data[b:]
            case 2:
                data = data[:a] + bytes((rng.randrange(256),)) + data[a + 1 :]
            case 3 | 4:
                data = data[:a] + rng.choice(TOKENS) + data[a:]
            case _:
                data = data[:a] + other[rng.randint(0, len(other)) :]
    return data


def cut(data: bytes, rng: random.Random) -> list[bytes]:
    """Whole half of the time, so that the fast path is met; else in up to five pieces."""
    if rng.random() < 0.5:
        return [data]
    marks = [0, *sorted(rng.randint(0, len(data)) for _ in range(rng.randint(1, 4))), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(marks)]


def assert_same(read: Callable[..., Any], method: str, first: list[bytes], second: list[bytes]) -> None:
    """Both readers agree on the bytes, however each gets them, with and without an end."""
    for eof in (False, True):
        fast = read("llhttp", method, first, eof=eof)
        reference = read("h11", method, second, eof=eof)
        # Cut otherwise, a doomed message may be refused sooner or later; with the end of bytes both have refused.
        if not eof and (fast.refused or reference.refused) and first != second:
            continue
        assert bool(fast.refused) == bool(reference.refused), (method, first, second, fast, reference)
        assert fast.refused or fast == reference, (method, first, second)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_corpus(path: Path, read_http1: Callable[..., Any]) -> None:
    """Every file of the corpus reads the same in both, for every method and cut."""
    data = path.read_bytes()
    for method in sorted(set(METHODS)):
        for at in range(0, len(data), max(1, len(data) // 24)):
            assert_same(read_http1, method, [data[:at], data[at:]], [data[:at], data[at:]])
        assert_same(read_http1, method, [data], [data])


@pytest.mark.parametrize("seed", range(4))
def test_mutated_corpus(seed: int, read_http1: Callable[..., Any]) -> None:
    """Mutations of the corpus read the same in both."""
    rng = random.Random(seed)
    files = [path.read_bytes() for path in CORPUS]
    for _ in range(ROUNDS):
        data = mutate(rng.choice(files), rng.choice(files), rng)
        assert_same(read_http1, rng.choice(METHODS), cut(data, rng), cut(data, rng))


LINES = st.lists(st.sampled_from(TOKENS), max_size=8).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(fields=LINES, body=st.one_of(st.binary(max_size=20), LINES), method=st.sampled_from(METHODS))
def test_built_of_tokens(fields: bytes, body: bytes, method: str, read_http1: Callable[..., Any]) -> None:
    """Heads and bodies built of dangerous tokens read the same in both."""
    data = b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n" + body

    assert_same(read_http1, method, [data], [data])


OPTIONS = st.lists(
    st.sampled_from(
        [b"close", b"Close", b"keep-alive", b"closed", b"x", b",", b", ", b" ", b"\t", b";", b'"', b"upgrade"]
    ),
    max_size=5,
).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(options=OPTIONS, name=st.sampled_from([b"Connection", b"CONNECTION", b"Proxy-Connection", b"X"]))
def test_connection_options(options: bytes, name: bytes, read_http1: Callable[..., Any]) -> None:
    """Both agree on whether the connection may be used again, whatever `Connection` says."""
    data = b"HTTP/1.1 200 OK\r\n" + name + b": " + options + b"\r\nContent-Length: 1\r\n\r\nx"

    assert_same(read_http1, "GET", [data], [data])
