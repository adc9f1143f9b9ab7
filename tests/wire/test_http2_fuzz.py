"""A differential fuzz: whatever a server sends, both HTTP/2 connections say the same, and raise nothing else.

The same means: the connection has failed in both; or in neither, and then every stream is alike in head, body,
trailers, end and kind of error. One difference is allowed: the reference (h2) may give up the connection where the fast
one gives up one stream for breaking the protocol, or meets late frames of a stream that was reset.

The mutations start from the files under `tests/corpus/http2/`, which hold what a server sent after two requests, and
work on frames as well as on bytes. A crash found by a longer run (`FUZZ_ROUNDS=100000`) becomes a file there.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.wire.http2 import frame

CORPUS = sorted((Path(__file__).parent.parent / "corpus" / "http2").glob("*.bin"))
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "500"))
METHODS = (("GET", "GET"), ("HEAD", "GET"), ("GET", "HEAD"))
# Kinds of a stream's error for which h2 may end the connection.
FAULTS = frozenset(("protocol_error", "h2_flow", "body_incomplete", "header_too_large", "h2_reset"))

Frame = tuple[int, int, int, bytes]


def split(data: bytes) -> list[Frame]:
    """Cut bytes into frames; a rest that is none is dropped."""
    frames: list[Frame] = []
    at = 0
    while at + 9 <= len(data):
        end = at + 9 + int.from_bytes(data[at : at + 3], "big")
        frames.append((data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9], "big"), data[at + 9 : end]))
        at = end
    return frames


def mutate_frames(frames: list[Frame], others: list[Frame], rng: random.Random) -> list[Frame]:
    """Drop, double, swap or borrow frames; change a type, flag, stream or payload."""
    frames = frames.copy()
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(frames))
        kind, flags, stream_id, payload = frames[at]
        match rng.randrange(8):
            case 0 if len(frames) > 1:
                del frames[at]
            case 1:
                frames.insert(at, frames[at])
            case 2:
                other = rng.randrange(len(frames))
                frames[at], frames[other] = frames[other], frames[at]
            case 3:
                frames.insert(at, rng.choice(others))
            case 4:
                frames[at] = (rng.choice((*range(11), kind)), flags, stream_id, payload)
            case 5:
                frames[at] = (kind, flags ^ rng.choice((1, 4, 8, 32)), stream_id, payload)
            case 6:
                frames[at] = (kind, flags, rng.choice((0, 1, 2, 3, 5, 0x80000001)), payload)
            case _:
                frames[at] = (kind, flags, stream_id, mutate_bytes(payload, rng))
    return frames


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Change, drop or add a few bytes."""
    a = rng.randint(0, len(data))
    match rng.randrange(3):
        case 0:
            return data[:a] + bytes((rng.randrange(256),)) + data[a + 1 :]
        case 1:
            return data[:a] + data[a + rng.choice((1, 2, 4)) :]
        case _:
            return data[:a] + rng.randbytes(rng.choice((1, 2, 4))) + data[a:]


def assert_same(read: Callable[..., Any], methods: tuple[str, ...], pieces: list[bytes]) -> None:
    """Both connections agree, but for the one difference allowed."""
    lean = read("lean", pieces, methods=methods)
    reference = read("h2", pieces, methods=methods)
    at_fault = any(stream.error in FAULTS for stream in lean.streams)
    if lean.error:
        assert reference.error, (methods, pieces, lean, reference)
    elif reference.error:
        assert at_fault, (methods, pieces, lean, reference)
    else:
        assert lean == reference, (methods, pieces)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_corpus(path: Path, read_http2: Callable[..., Any]) -> None:
    """Every file of the corpus reads the same in both, whole and cut anywhere."""
    data = path.read_bytes()
    for methods in METHODS:
        assert_same(read_http2, methods, [data])
    for at in range(0, len(data), max(1, len(data) // 30)):
        assert_same(read_http2, METHODS[0], [data[:at], data[at:]])


@pytest.mark.parametrize("seed", range(4))
def test_mutated_corpus(seed: int, read_http2: Callable[..., Any]) -> None:
    """Mutations of frames and bytes read the same in both."""
    rng = random.Random(seed)
    files = [path.read_bytes() for path in CORPUS]
    frames = [found for found in map(split, files) if found]
    others = [one for found in frames for one in found]
    for _ in range(ROUNDS):
        data = b"".join(frame(*one) for one in mutate_frames(rng.choice(frames), others, rng))
        if rng.random() < 0.3:
            data = mutate_bytes(data, rng)
        at = rng.randint(0, len(data))
        assert_same(read_http2, rng.choice(METHODS), [data] if rng.random() < 0.5 else [data[:at], data[at:]])
