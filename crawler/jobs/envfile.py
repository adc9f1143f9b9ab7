"""`env_file`: variables from `KEY=VALUE` files; the real environment wins over them.

Blank lines and lines that begin with `#` are skipped, `export ` before a name is allowed, and one pair of quotes around
the whole value is taken off. Nothing inside is expanded.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from crawler.jobs.findings import Finding, Mark

MAX_ENV_FILE_BYTES: Final = 1024 * 1024
_LINE: Final = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*?)\s*")


def read_env_file(path: Path, mark: Mark) -> tuple[dict[str, str], list[Finding]]:
    """Read one file.

    Args:
        path: The file.
        mark: Where the job names it, for a finding that it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_ENV_FILE_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as exc:
        return {}, [Finding(mark, f"env_file {path.name}: cannot read the file: {exc.strerror or exc}")]
    except UnicodeDecodeError:
        return {}, [Finding(mark, f"env_file {path.name}: the file is not UTF-8")]
    if len(data) > MAX_ENV_FILE_BYTES:
        return {}, [Finding(mark, f"env_file {path.name}: the file is larger than 1 MiB")]
    values: dict[str, str] = {}
    findings: list[Finding] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            # The line itself stays out of the message: it may be half a secret.
            findings.append(Finding(Mark(str(path), number, 1), "write KEY=VALUE"))
            continue
        values[match["name"]] = _unquote(match["value"])
    return values, findings


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
