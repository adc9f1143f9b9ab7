"""Text of servers on a terminal: no escape sequence gets through."""

from __future__ import annotations

import pytest

from crawler.cli.text import one_line, printable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain, ünïcode and 日本語 stay\tas they\nare", "plain, ünïcode and 日本語 stay\tas they\nare"),
        ("\x1b[2Jcleared", "\\x1b[2Jcleared"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("over\rwritten", "over\\x0dwritten"),
        ("dos\r\nlines", "dos\nlines"),
        ("back\x08space \x7f", "back\\x08space \\x7f"),
        ("moc.live\u202ehttps", "moc.live\\u202ehttps"),
        ("\u2028", "\\u2028"),
    ],
)
def test_control_characters_are_written_out(raw: str, shown: str) -> None:
    """What could steer the terminal is shown as text; everything else stays."""
    assert printable(raw) == shown


def test_one_line_joins_and_cuts() -> None:
    """A message of many lines becomes one of bounded length."""
    assert one_line("a\n  b\t\x1bc") == "a b \\x1bc"
    assert one_line("x" * 300, limit=10) == "x" * 9 + "…"
