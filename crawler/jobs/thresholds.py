"""`thresholds` of a benchmark: `"async[vus=64].response_time.p99": "< 250ms"` as values.

The key names a metric, alone (every arm) or behind an arm, a cell of a matrix, or `*`. The metrics are a closed list:
each has its unit, so `< 250` for a time and `< 250ms` for a ratio are refused, not guessed.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from crawler.jobs import units
from crawler.jobs.fields import Schema, loosen, nearest, show

Operator = Literal["<", "<=", ">", ">=", "=="]

OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}

_COUNTS: Final = ("requests", "errors.count", "dropped.count", "cpu", "speedup", "speedup.low", "speedup.high")
_RATIOS: Final = ("errors.ratio", "dropped.ratio")
_TIMES: Final = ("cpu_per_request", "loop_lag_p99")
_SIZES: Final = ("rss_max", "bytes")
_RATES: Final = ("rate", "rate.median", "rate.low", "rate.high")
_DISTRIBUTIONS: Final = ("response_time", "service_time", "send_delay")
_POINT: Final = r"p\d{1,2}(?:\.\d{1,6})?|mean|max"

_LISTED: Final = (*_COUNTS, *_RATIOS, *_TIMES, *_SIZES, *_RATES)
_METRIC: Final = re.compile(
    rf"(?:(?P<arm>.+)\.)?(?P<metric>{'|'.join(map(re.escape, _LISTED))}|(?:{'|'.join(_DISTRIBUTIONS)})\.(?:{_POINT}))",
    re.ASCII,
)
_BOUND: Final = re.compile(r"(<=|>=|==|<|>) *(\S.*)", re.ASCII)
_SUGGESTED: Final = (*_LISTED, *(f"{name}.{point}" for name in _DISTRIBUTIONS for point in ("p50", "p99", "max")))


@dataclass(frozen=True, slots=True)
class Threshold:
    """One line of `thresholds`.

    Attributes:
        arm: Name of an arm, a group of cells or one cell; `*` is all.
        metric: Dotted name in the result, like `response_time.p99`; `speedup` and `rate` are their main number.
        operator: How the value must stand to `bound`.
        bound: In the metric's unit: seconds, bytes, per second, share, or plain.
        text: The line as written, for messages.
    """

    arm: str
    metric: str
    operator: Operator
    bound: float
    text: str

    def holds(self, value: float) -> bool:
        """Whether a measured value is within."""
        return OPERATORS[self.operator](value, self.bound)


def parse_threshold(key: str, value: object) -> Threshold:
    """One threshold of its key and value.

    Raises:
        ValueError: No such metric, or no bound in its unit.
    """
    match = _METRIC.fullmatch(key)
    if match is None:
        near = nearest(key.partition("]")[2].lstrip(".") or key, _SUGGESTED)
        hint = f"did you mean '{near}'?" if near else "for example response_time.p99, errors.ratio, ARM.speedup"
        raise ValueError(f"names no metric; {hint}")
    metric = match["metric"]
    got = loosen(value)
    bound = _BOUND.fullmatch(got) if isinstance(got, str) else None
    if bound is None:
        raise ValueError(f'expected a comparison in quotes like "< {_example(metric)}", not {show(got)}')
    name: Operator = bound[1]  # type: ignore[assignment]  # the pattern takes no other
    return Threshold(match["arm"] or "*", metric, name, _number(metric, bound[2].strip()), f"{key}: {got}")


def _number(metric: str, text: str) -> float:
    if metric in _RATIOS:
        return units.parse_ratio(text)
    if metric in _SIZES:
        return units.parse_size(text)
    if metric in _RATES:
        return units.parse_rate(text).per_second
    if metric not in _COUNTS:
        if re.fullmatch(r"[\d.]+", text) and float(text):
            raise ValueError(f"'{text}' has no unit; write a duration like 250ms")
        return units.parse_duration(text)
    try:
        return float(re.fullmatch(r"\d{1,15}(?:\.\d{1,9})?", text, re.ASCII)[0])  # type: ignore[index]
    except TypeError:
        raise ValueError(f"'{text}' is no plain number, and {metric} is one") from None


def _example(metric: str) -> str:
    for names, example in ((_RATIOS, "0.1%"), (_SIZES, "100MB"), (_RATES, "500/s"), (_COUNTS, "10")):
        if metric in names:
            return example
    return "250ms"


class _Reader:
    """Reads the mapping into `Threshold`s, each finding at its own key."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: object) -> object:
            if not isinstance(value, dict):
                return value
            return {key: _Line(key, item) for key, item in value.items()}

        line = core_schema.no_info_plain_validator_function(_read_line)
        mapping = core_schema.dict_schema(core_schema.str_schema(), line)
        return core_schema.no_info_before_validator_function(read, mapping)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^{_METRIC.pattern.replace('?P<arm>', '').replace('?P<metric>', '')}$"},
            "additionalProperties": {"type": "string", "pattern": "^(<=|>=|==|<|>) *\\S"},
        }


@dataclass(frozen=True, slots=True)
class _Line:
    key: str
    value: object


def _read_line(value: Any) -> Threshold:
    assert isinstance(value, _Line)
    return parse_threshold(value.key, value.value)


Limits = Annotated[dict[str, Threshold], _Reader()]
"""Key as written -> its threshold."""
