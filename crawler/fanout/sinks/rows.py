"""Which rows an output gets of a finished request, and which fields of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from crawler.fanout.record import Record
from crawler.fanout.sinks.fields import project

if TYPE_CHECKING:
    from crawler.fanout.frontier import Finished
    from crawler.fanout.plan import Output


class Where:
    """A condition on records: an expression of JMESPath that is true in its sense.

    False are null, false, and empty texts, lists and maps. An expression that cannot be worked out for a record (a
    function of a null) does not choose it.

    Raises:
        ValueError: It is no expression.
    """

    def __init__(self, text: str) -> None:
        import jmespath
        from jmespath.exceptions import JMESPathError

        self._errors = JMESPathError
        try:
            self._search = jmespath.compile(text).search
        except JMESPathError as error:
            raise ValueError(" ".join(str(error).split())) from error

    def holds(self, record: Record) -> bool:
        """Whether the record is chosen."""
        try:
            value: Any = self._search(record)
        except self._errors:
            return False
        return not (value is None or value is False or (isinstance(value, str | list | dict) and not value))


class Selection:
    """What one output takes of finished requests.

    Args:
        output: Its `records`, `where` and `fields`.
    """

    def __init__(self, output: Output) -> None:
        self._records = output.records
        self._where = None if output.where is None else Where(output.where)
        self._fields = output.fields

    def rows(self, finished: Iterable[Finished]) -> list[Record]:
        """Give the rows of finished requests."""
        return self.choose(row for one in finished for row in self._rows(one))

    def choose(self, rows: Iterable[Record]) -> list[Record]:
        """Give those rows, and those of their fields, that the output wants."""
        if self._where is not None:
            rows = filter(self._where.holds, rows)
        if self._fields:
            return [project(row, self._fields) for row in rows]
        return [{**row, "headers": None} if row.get("headers") else row for row in rows]

    def _rows(self, one: Finished) -> Sequence[Record] | Iterator[Record]:
        if self._records == "requests":
            return (one.record,)
        if self._records == "attempts":
            return one.attempts
        return item_rows(one.record, one.rows)


def wants_lines(outputs: Sequence[Output]) -> bool:
    """Whether all that any output wants of a request is its record, whole, as a line of JSON."""
    return bool(outputs) and all(
        output.format == "jsonl" and output.records == "requests" and not output.fields and output.where is None
        for output in outputs
    )


def wants_headers(outputs: Sequence[Output]) -> bool:
    """Whether an output names the headers of responses among its fields, or asks for them in its condition."""
    return any(
        any(name.partition(".")[0] == "headers" for name in output.fields) or "headers" in (output.where or "")
        for output in outputs
    )


def item_rows(record: Record, rows: Sequence[Record]) -> Iterator[Record]:
    """Put where they came from in front of extracted rows."""
    origin = {name: record.get(name) for name in ("url", "key", "run_id")}
    for index, row in enumerate(rows):
        yield {**origin, "item_index": index, **row}
