"""Copies of outputs without some records, for `crawler retry`; see `crawler.fanout.reopen` for what is done with them.

Each part is copied beside itself, row by row; a compressed one in pieces of about a megabyte. Parts keep their numbers
and names, and may become empty.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crawler.fanout.errors import RunError, StateDamaged, output_error
from crawler.fanout.record import Record
from crawler.fanout.rewrite import COPY_SUFFIX, Rewrite
from crawler.fanout.sinks.compress import Pack, packer
from crawler.fanout.sinks.lines import Format, Jsonl, format_of
from crawler.fanout.sinks.parts import Part
from crawler.fanout.sinks.reading import Stored, compression_in, part_rows, stored_rows

if TYPE_CHECKING:
    from crawler.fanout.plan import Output

_PIECE: Final = 1 << 20


class CannotRewrite(RunError):
    """The records of an output cannot be taken out; nothing was changed."""

    exit_code = 2


def has_ids(output: Output) -> bool:
    """Whether the rows of an output tell whose they are."""
    return not output.fields or "id" in output.fields


def check_rewritable(stored: Stored, source: Stored) -> None:
    """Refuse an output whose records cannot be taken out.

    Rows without an id are known by their place: every commit writes the same requests in the same order to all outputs.

    Raises:
        CannotRewrite: Its rows cannot be told apart, or it has parts that were given away.
    """
    output = stored.output
    name = output.remote or str(output.path)
    if not has_ids(output) and (stored.rows != source.rows or output.where is not None):
        raise CannotRewrite(
            f"{name}: its rows have no field `id`, by which those of the chosen URLs could be taken out; nothing was "
            "changed. Run the job anew with --fresh, or take this output out of the job"
        )
    if any(part.is_published for part in stored.parts):
        raise CannotRewrite(
            f"{name}: parts of it are complete and were published, and records cannot be taken out of those; nothing "
            "was changed. Run the job anew with --fresh, or take this output out of the job"
        )


def copy_without(stored: Stored, chosen: Collection[bytes], source: Stored) -> Rewrite:
    """Copy an output without the records of some requests, and sync the copy.

    Args:
        stored: The output.
        chosen: Fingerprints of the requests.
        source: An output that tells whose rows are in which place.

    Raises:
        StateDamaged: It cannot be read.
        OutputError: The disk refuses.
    """
    pack = packer(compression_in(stored.output))
    form: Format = Jsonl() if stored.output.format == "parquet" else format_of(stored.output)
    parts: list[Part] = []
    paths: list[str] = []
    owners = None if has_ids(stored.output) else stored_rows(source)
    size = rows = 0
    for part, end in stored.ends():
        if end > 0 or os.path.exists(part.path):
            kept = _kept(stored, part, end, chosen, owners) if end > 0 else iter(())
            parts.append(part._replace(start=size, start_rows=rows))
            paths.append(part.path)
            n, count = _copy(Path(part.path + COPY_SUFFIX), kept, form, pack)
            size += n
            rows += count
    return Rewrite(stored.output.identity or stored.output.remote or str(stored.output.path), size, rows, parts, paths)


def fingerprint_of(record: Record, path: Path) -> bytes:
    """Give the fingerprint that a record tells.

    Raises:
        StateDamaged: It has none.
    """
    try:
        return bytes.fromhex(str(record["id"]).removeprefix("b2:"))
    except (KeyError, ValueError) as error:
        raise StateDamaged(f"{path}: a record of it has no id of ours") from error


def _kept(
    stored: Stored, part: Part, end: int, chosen: Collection[bytes], owners: Iterator[Record] | None
) -> Iterator[Record]:
    for row in part_rows(stored.output, part, end):
        owner = row if owners is None else next(owners, row)
        if fingerprint_of(owner, Path(part.path)) not in chosen:
            yield row


def _copy(copy: Path, rows: Iterator[Record], form: Format, pack: Pack) -> tuple[int, int]:
    """Write rows; gives bytes and rows."""
    size = count = 0
    lines: list[bytes] = []
    waiting = 0
    try:
        with open(copy, "wb") as file:
            for row in rows:
                if not count:
                    lines.append(form.header)
                lines.append(form.encode(row))
                waiting += len(lines[-1])
                count += 1
                if waiting >= _PIECE:
                    size += file.write(pack(b"".join(lines)))
                    lines, waiting = [], 0
            if lines:
                size += file.write(pack(b"".join(lines)))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise output_error(str(copy), error) from error
    return size, count
