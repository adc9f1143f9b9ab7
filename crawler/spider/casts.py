"""From what stands in a page to a value of a type.

| type | from |
|---|---|
| `str` | any text or number |
| `int`, `float`, `decimal` | the one number in a text: `1,299.00 EUR`, `€ 12,50`, `1 000` |
| `bool` | true/false, yes/no, on/off, 1/0 |
| `date`, `datetime` | ISO 8601, the dates of HTTP and mail (RFC 9110, RFC 5322), seconds since 1970 |
| `url` | a link, made absolute |
| `html` | markup as it is |
| `json` | any value; text is read as JSON |

In a number with two kinds of separators the last one is the decimal point. A single comma before exactly three digits
groups thousands, before others it is a decimal point; a single full stop always is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, get_args

TypeName = Literal["str", "int", "float", "decimal", "bool", "datetime", "date", "url", "html", "json"]
TYPES: Final[tuple[str, ...]] = get_args(TypeName)

MAX_TEXT: Final = 1000
"""Characters of a text in which a number, a date or a truth value is looked for."""

_NUMBER = re.compile(r"[+\-\u2212]?(?:\d[\d.,'\u2019\u00a0\u202f ]*\d|\d|\.\d+)(?:[eE][+-]?\d+)?")
_SPACES = re.compile(r"[\s\u00a0\u202f'\u2019]+")
_WORDS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _short(value: object) -> str:
    text = str(value).strip()
    if len(text) > MAX_TEXT:
        raise ValueError(f"a text of {len(text)} characters")
    return text


def plain_number(text: str) -> str:
    """The one number in a text, in the form that Python reads.

    Raises:
        ValueError: There is none, or more than one.
    """
    found = _NUMBER.findall(_short(text))
    if len(found) != 1:
        raise ValueError(f"{'no' if not found else 'more than one'} number in {text[:60]!r}")
    number = _SPACES.sub("", found[0]).replace("\u2212", "-")
    comma, dot = number.rfind(","), number.rfind(".")
    if comma >= 0 and dot >= 0:
        point = "," if comma > dot else "."
        number = number.replace("." if point == "," else ",", "")
        if number.count(point) > 1:
            raise ValueError(f"{text[:60]!r} has two decimal points")
        return number.replace(",", ".")
    if comma >= 0:
        groups = number.count(",") > 1 or (len(number) - comma == 4 and number.lstrip("+-")[0] != "0")
        return number.replace(",", "" if groups else ".")
    return number.replace(".", "") if number.count(".") > 1 else number


def to_str(value: object) -> str:
    """Text, or a number or truth value written out as JSON has it."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | dict | list):
        import orjson

        return orjson.dumps(value).decode()
    return str(value)


def to_int(value: object) -> int:
    """A whole number; `3.0` is one, `3.5` is none."""
    number = to_decimal(value)
    if number != number.to_integral_value():
        raise ValueError(f"{value!r} is no whole number")
    return int(number)


def to_float(value: object) -> float:
    """A finite number."""
    return float(to_decimal(value))


def to_decimal(value: object) -> Decimal:
    """A number as exact as it is written."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        raise ValueError(f"{value!r} is no number")
    try:
        number = Decimal(repr(value)) if isinstance(value, int | float) else Decimal(plain_number(str(value)))
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is no number") from error
    if not number.is_finite() or abs(number.adjusted()) > 300:
        raise ValueError(f"{value!r} is no number that can be kept")
    return number


def to_bool(value: object) -> bool:
    """A truth value."""
    if isinstance(value, bool):
        return value
    found = _WORDS.get(_short(value).lower())
    if found is None:
        raise ValueError(f"{str(value)[:60]!r} is neither true nor false")
    return found


def to_datetime(value: object) -> datetime:
    """An instant; one without a zone keeps none, one in seconds since 1970 is in UTC."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"{value!r} is no date")
    text = _short(value)
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            if re.fullmatch(r"\d{9,11}(?:\.\d+)?", text):
                return datetime.fromtimestamp(float(text), UTC)
            from email.utils import parsedate_to_datetime

            return parsedate_to_datetime(text)
    except (ValueError, OverflowError, OSError, TypeError, IndexError) as error:
        raise ValueError(f"{text[:60]!r} is no date") from error


def to_date(value: object) -> date:
    """A day; of an instant, the day it says."""
    return to_datetime(value).date()


def to_json(value: object) -> object:
    """Any value of JSON."""
    if not isinstance(value, str):
        return value
    import orjson

    return orjson.loads(value)  # its error is a ValueError


CASTS: Final[dict[str, Callable[[object], object]]] = {
    "str": to_str,
    "html": to_str,
    "url": to_str,  # made absolute where the page is known
    "int": to_int,
    "float": to_float,
    "decimal": to_decimal,
    "bool": to_bool,
    "datetime": to_datetime,
    "date": to_date,
    "json": to_json,
}
"""Type → what makes a value of it; raises `ValueError`."""
