"""Archives: WARC 1.1 (ISO 28500:2017), for replay by pywb and for everything that reads web archives.

    warcinfo                                  first in each file: who wrote it
    response | revisit, request               per exchange, redirects included
    metadata                                  per request: how long it took, where it came from

Each record is a gzip member of its own, so a reader can begin at any of them, and the file can be cut behind any of
them. A payload that was archived before in this run is not stored again: a `revisit` record refers to it.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from base64 import b32encode
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final
from uuid import uuid4

from crawler.fanout.exchange import BODY_SUFFIX, Exchange, Hop
from crawler.fanout.sinks.cdxj import index_path, write_index
from crawler.fanout.sinks.file_sink import Chunk, FileSink
from crawler.fanout.sinks.lines import Format, Jsonl
from crawler.fanout.sinks.parts import Part, PartLog
from crawler.fanout.sinks.publish import Publisher

if TYPE_CHECKING:
    from crawler.fanout.frontier import Finished
    from crawler.fanout.plan import Output

MAX_KNOWN_PAYLOADS: Final = 200_000
"""Payloads that a later one can be a revisit of, about 60 MB; the longest unseen ones are forgotten."""

REVISIT: Final = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
MEMBER_SUFFIX: Final = ".member"
_PIECE: Final = 1 << 20


class Seen:
    """A payload in the archive: URL, date and record that a revisit refers to."""

    __slots__ = ("date", "record_id", "url")

    def __init__(self, url: str, date: str, record_id: str) -> None:
        self.url = url
        self.date = date
        self.record_id = record_id


class WarcSink(FileSink):
    """An output of archives.

    Args:
        output: Where; its `where` chooses by the records.
        publisher: Uploads what was collected.
        folder: Where is collected, and where large bodies wait.
    """

    is_archive = True
    roll_rows: ClassVar[int] = 2**62
    roll_size: ClassVar[int] = 1_000_000_000

    def __init__(self, output: Output, *, publisher: Publisher | None = None, folder: Path | None = None) -> None:
        super().__init__(output, publisher=publisher, folder=folder)
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    def _make_format(self) -> Format:
        return Jsonl()

    def begin(self, log: PartLog, committed: tuple[int, int] | None) -> None:
        """Learn what earlier runs left; bodies that a crash left on their way go."""
        super().begin(log, committed)
        for suffix in (BODY_SUFFIX, MEMBER_SUFFIX):
            for path in self._folder.glob("*" + suffix) if self._folder is not None else ():
                path.unlink(missing_ok=True)

    def cut(self, offset: int, rows: int) -> None:
        """Go back to `offset`; nothing refers any more to what may be gone."""
        for chunk in self._staged:
            chunk.discard()
        self._seen.clear()
        super().cut(offset, rows)

    def stage(self, finished: Sequence[Finished]) -> None:
        """Make records of exchanges; the requests' own records are told where they are."""
        self._staged = list(self._archive(finished))

    def _archive(self, finished: Sequence[Finished]) -> Iterator[Chunk]:
        offset, count = self.offset, self.rows
        part = self._parts[-1]
        is_due = self._is_left(part)
        for one in finished:
            if one.exchange is None:
                continue
            if not self._selection.choose((one.record,)):
                drop_bodies(one.exchange)
                continue
            new = self._next_part(part, offset, count, is_due=is_due or self._is_full(part, offset, count))
            part, is_due = new or part, False
            if part.start == offset:
                info = self._pack(self._info(part))
                yield Chunk(new, info, 0)
                offset, new = offset + len(info), None
            for members in self._exchange(one, part, offset):
                for member in members:
                    yield Chunk(new, member, 0)
                    offset, new = offset + member_size(member), None
            yield Chunk(new, b"", 1)
            count += 1

    def _exchange(self, one: Finished, part: Part, offset: int) -> Iterator[list[bytes | Path]]:
        assert one.exchange is not None
        last = one.exchange.hops[-1]
        for hop in one.exchange.hops:
            record_id = new_id()
            response = self._response(hop, record_id, part)
            request = self._pack(
                record(
                    ("WARC-Type", "request"),
                    *_common(hop, new_id()),
                    ("WARC-Concurrent-To", record_id),
                    ("Content-Type", "application/http; msgtype=request"),
                    block=hop.request,
                )
            )
            if hop is last:
                one.record["warc"] = {
                    "file": part.target or part.path,
                    "offset": offset - part.start,
                    "length": member_size(response),
                    "record_id": record_id,
                }
            offset += member_size(response) + len(request)
            members = [response, request]
            if hop is last:
                members.append(self._metadata(one.exchange, hop, record_id))
            yield members

    def _response(self, hop: Hop, record_id: str, part: Part) -> bytes | Path:
        digest = payload_digest(hop.body)
        fields = [*_common(hop, record_id), ("WARC-Payload-Digest", digest)]
        seen = self._seen.get(digest)
        if seen is not None and hop.size and not hop.is_cut:
            self._seen.move_to_end(digest)
            _drop(hop.body)
            fields += [
                ("WARC-Profile", REVISIT),
                ("WARC-Refers-To", seen.record_id),
                ("WARC-Refers-To-Target-URI", seen.url),
                ("WARC-Refers-To-Date", seen.date),
                ("Content-Type", "application/http; msgtype=response"),
            ]
            return self._pack(record(("WARC-Type", "revisit"), *fields, block=hop.head))
        if hop.is_cut:
            fields.append(("WARC-Truncated", "disconnect"))
        elif hop.size:
            self._seen[digest] = Seen(hop.url, _date(hop.started), record_id)
            if len(self._seen) > MAX_KNOWN_PAYLOADS:
                self._seen.popitem(last=False)
        fields.append(("Content-Type", "application/http; msgtype=response"))
        if isinstance(hop.body, bytes):
            return self._pack(record(("WARC-Type", "response"), *fields, block=hop.head + hop.body))
        return self._large(fields, hop)

    def _large(self, fields: list[tuple[str, str]], hop: Hop) -> Path:
        """Make the record of a body that is in a file, in a file."""
        assert isinstance(hop.body, Path)
        digest = sha1(hop.head, usedforsecurity=False)
        for piece in _pieces(hop.body):
            digest.update(piece)
        block = len(hop.head) + hop.size
        head = _record_head([("WARC-Type", "response"), *fields], block, _label(digest.digest()))
        fd, name = tempfile.mkstemp(MEMBER_SUFFIX, dir=hop.body.parent)
        with os.fdopen(fd, "wb") as file:
            coder = zlib.compressobj(6, zlib.DEFLATED, 31) if self._compression == "gz" else None
            for piece in (head + hop.head, *_pieces(hop.body), b"\r\n\r\n"):
                file.write(piece if coder is None else coder.compress(piece))
            if coder is not None:
                file.write(coder.flush())
        hop.body.unlink(missing_ok=True)
        return Path(name)

    def _metadata(self, exchange: Exchange, hop: Hop, refers_to: str) -> bytes:
        text = "".join(f"{name}: {value}\r\n" for name, value in exchange.facts.items())
        return self._pack(
            record(
                ("WARC-Type", "metadata"),
                *_common(hop, new_id()),
                ("WARC-Concurrent-To", refers_to),
                ("Content-Type", "application/warc-fields"),
                block=text.encode("utf-8", "replace"),
            )
        )

    def _info(self, part: Part) -> bytes:
        from crawler.version import __version__

        facts = {
            "software": f"crawler/{__version__}",
            "format": "WARC File Format 1.1",
            "conformsTo": "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
            **dict(self._output.comment),
        }
        return record(
            ("WARC-Type", "warcinfo"),
            ("WARC-Record-ID", new_id()),
            ("WARC-Date", _date(datetime.now(UTC).timestamp())),
            ("WARC-Filename", os.path.basename(part.target or part.path)),
            ("Content-Type", "application/warc-fields"),
            block="".join(f"{name}: {value}\r\n" for name, value in facts.items()).encode("utf-8", "replace"),
        )

    def settle(self) -> None:
        """Index archives that are complete."""
        if self._publisher is None and self._output.cdxj:
            for n, part in enumerate(self._parts[:-1]):
                if not part.is_published and os.path.exists(part.path):
                    write_index(Path(part.path), self._parts[n + 1].start - part.start)
                    self._parts[n] = part._replace(is_published=True)
                    self._log.add(self.name, self._parts[n])
        super().settle()

    def finish(self) -> None:
        """Leave a file with its first record at least, and its index."""
        last = self._parts[-1]
        local = self.offset - last.start
        if not local:
            local = os.write(self._fd, self._pack(self._info(last)))
        self.settle()
        if self._publisher is not None:
            self._publisher.publish(Path(last.path), local, last.target)
        elif self._output.cdxj:
            write_index(Path(last.path), local)

    def _remove(self, part: Part) -> None:
        index_path(Path(part.path)).unlink(missing_ok=True)
        super()._remove(part)


def record(*fields: tuple[str, str], block: bytes) -> bytes:
    """Write a record of its named fields and its block, uncompressed."""
    digest = _label(sha1(block, usedforsecurity=False).digest())
    return _record_head(list(fields), len(block), digest) + block + b"\r\n\r\n"


def _record_head(fields: list[tuple[str, str]], length: int, digest: str) -> bytes:
    fields = [*fields, ("WARC-Block-Digest", digest), ("Content-Length", str(length))]
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"WARC/1.1\r\n{lines}\r\n".encode("utf-8", "replace")


def _common(hop: Hop, record_id: str) -> list[tuple[str, str]]:
    fields = [
        ("WARC-Record-ID", record_id),
        ("WARC-Target-URI", hop.url),
        ("WARC-Date", _date(hop.started)),
    ]
    if hop.remote_ip is not None:
        fields.append(("WARC-IP-Address", hop.remote_ip))
    if hop.protocol.startswith("HTTP/2"):
        fields.append(("WARC-Protocol", "h2"))
    return fields


def payload_digest(body: bytes | Path) -> str:
    """Give the digest of a payload as archives write it: SHA-1 in Base32."""
    digest = sha1(usedforsecurity=False)
    for piece in (body,) if isinstance(body, bytes) else _pieces(body):
        digest.update(piece)
    return _label(digest.digest())


def member_size(member: bytes | Path) -> int:
    """Give how many bytes a member has."""
    return len(member) if isinstance(member, bytes) else member.stat().st_size


def drop_bodies(exchange: Exchange) -> None:
    """Remove the files of bodies that are not archived."""
    for hop in exchange.hops:
        _drop(hop.body)


def new_id() -> str:
    """Give the id of a new record."""
    return f"<urn:uuid:{uuid4()}>"


def _drop(body: bytes | Path) -> None:
    if isinstance(body, Path):
        body.unlink(missing_ok=True)


def _label(digest: bytes) -> str:
    return f"sha1:{b32encode(digest).decode('ascii')}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _pieces(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            yield piece
