"""Text that came from elsewhere, made safe to show on a terminal.

A server chooses its header values, reason phrases and error texts. Printed as they are, escape sequences among them
could move the cursor, repaint lines above or set the window title; bidirectional controls could make a URL read as
another one. So what is not ours is shown with such characters written out (`\\x1b`), and everything else as it is.
"""

from __future__ import annotations

import re

# C0 without tab and line feed, DEL, C1, the line and paragraph separators, the bidirectional controls.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def printable(text: str) -> str:
    """Give `text` with control characters written out; tabs and line feeds stay."""
    return _UNSAFE.sub(_written_out, text.replace("\r\n", "\n"))


def one_line(text: str, limit: int = 200) -> str:
    """Give `text` safe to show and on one line, cut to `limit` characters with an ellipsis."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
