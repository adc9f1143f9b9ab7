"""`${VAR}` and its relatives, filled into the values of a parsed job.

    ${VAR}                  the environment's VAR; unset is an error
    ${VAR:-text} ${VAR-text} text if VAR is unset or empty / unset
    ${VAR:?why}  ${VAR?why}  an error if VAR is unset or empty / unset
    ${VAR:+text} ${VAR+text} text if VAR is set and not empty / set
    ${vars.name}            the value of `vars.name` of the same job
    ${file:path}            a file's text, one trailing newline dropped; relative to the job file
    $$                      a dollar sign; a dollar sign before anything else stands for itself

It runs on values, after YAML, so what comes in can never add keys; and what came in is never looked at again, so a
value that reads like a reference stays text. A value made of exactly one reference is a `Loose` text: the schema may
read it as the type it wants.

Secrets are known by where they come from (`${file:}`) or by a name, of the variable or of the key: `secret`, `token`,
`password`, `api_key`, `Authorization`, `Cookie`; so are the credentials of `auth`, whatever their keys. Their values
are collected in `Interpolation.secrets` for masking, and the tree remembers what to show instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from crawler.jobs.findings import Finding, Mark
from crawler.jobs.nodes import Entry, Items, Map, Node, Scalar, ScalarValue
from crawler.jobs.nodes import Path as NodePath

MAX_SECRET_FILE_BYTES: Final = 64 * 1024
MIN_MASKED_CHARS: Final = 4
"""Shorter secrets are not searched for in texts: masking each `1` would hide nothing and break everything."""

_REFERENCE: Final = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_VARIABLE: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<op>:?[-?+])(?P<text>.*))?", re.DOTALL)
_VARS: Final = re.compile(r"vars\.(?P<name>[A-Za-z0-9_-]+)")
_SECRET_NAME: Final = re.compile(
    r"secret|token|passw(?:or)?d|api[-_]?key|^authorization$|^proxy-authorization$|^cookie$", re.I
)
_SCHEME: Final = re.compile(r"(?:Bearer|Basic|Token)? ?")


OPEN_AUTH_KEYS: Final = frozenset({"type", "hosts", "token_url", "scope", "region", "service", "header", "name"})
"""Keys of `auth` that may be shown; the values of all others are secrets."""


class Loose(str):
    """Text that came from one reference alone: the schema may read it as a number or a truth value.

    Attributes:
        native: What it is where any type will do: text from the environment, the YAML value from `vars`.
    """

    __slots__ = ("native",)
    native: ScalarValue

    def __new__(cls, native: ScalarValue) -> Loose:
        text = native if isinstance(native, str) else _as_text(native)
        loose = super().__new__(cls, text)
        loose.native = native
        return loose


def is_secret_name(name: str) -> bool:
    """Whether a key or variable of that name holds something that must not be shown."""
    return _SECRET_NAME.search(name) is not None


@dataclass(slots=True)
class Interpolation:
    """One pass over one job: give it the whole tree with `fill`.

    Attributes:
        environment: Variables.
        base: Folder that `${file:}` paths are relative to.
        variables: The job's `vars`.
        findings: What could not be filled in; every missing variable is one.
        warnings: Secret files that everyone may read.
        secrets: Values to mask.
    """

    environment: Mapping[str, str]
    base: Path
    variables: Map | None = None
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    _resolved: dict[str, Scalar] = field(default_factory=dict)
    _resolving: list[str] = field(default_factory=list)

    def fill(self, node: Node, path: NodePath = ()) -> Node:
        """`node` with every reference in it replaced; keys and everything under `x-*` stay as they are."""
        match node:
            case Scalar():
                if len(path) == 2 and path[0] == "vars" and self.variables is not None:
                    return self._variable(str(path[1]))
                return self.fill_scalar(node, secret=self._is_secret_path(path))
            case Items(mark=mark, values=values):
                return Items(mark, [self.fill(value, (*path, index)) for index, value in enumerate(values)])
            case Map(mark=mark, entries=entries):
                filled: dict[str, Entry] = {}
                for key, entry in entries.items():
                    extension = not path and key.startswith("x-")
                    value = entry.node if extension else self.fill(entry.node, (*path, key))
                    filled[key] = Entry(entry.key_mark, value)
                return Map(mark, filled)

    def fill_scalar(self, scalar: Scalar, *, secret: bool = False) -> Scalar:
        """One value filled in.

        Args:
            scalar: The value.
            secret: Its key says that the whole value is one.
        """
        text = scalar.value
        if not isinstance(text, str) or "$" not in text:
            if secret and text is not None and not isinstance(text, bool):
                self._remember(str(text))
                return Scalar(scalar.mark, text, shown="***")
            return scalar
        pieces = [self._piece(match, scalar.mark) for match in _REFERENCE.finditer(text)]
        literals = self._literals(text)
        if len(pieces) == 1 and literals == ["", ""] and pieces[0].reference:
            only = pieces[0]
            hidden = secret or only.secret
            if hidden:
                self._remember(_as_text(only.value))
            return Scalar(scalar.mark, Loose(only.value), shown=only.shown if hidden else None)
        filled, shown = literals[0], self._show_literal(literals[0], secret)
        for piece, literal in zip(pieces, literals[1:], strict=True):
            filled += _as_text(piece.value) + literal
            hidden = piece.reference and (secret or piece.secret)
            shown += (piece.shown if hidden else _as_text(piece.value)) + self._show_literal(literal, secret)
            if hidden:
                self._remember(_as_text(piece.value))
        if secret:
            self._remember(filled)
        any_secret = secret or any(piece.secret for piece in pieces)
        return Scalar(scalar.mark, filled, shown=shown if any_secret else None)

    @staticmethod
    def _literals(text: str) -> list[str]:
        """The text between the references: one more than there are references."""
        ends = [(match.start(), match.end()) for match in _REFERENCE.finditer(text)]
        starts = [0, *(end for _, end in ends)]
        return [
            text[start:stop] for start, stop in zip(starts, [*(start for start, _ in ends), len(text)], strict=True)
        ]

    @staticmethod
    def _show_literal(text: str, secret: bool) -> str:
        return text if not secret or _SCHEME.fullmatch(text) else "***"

    def _is_secret_path(self, path: NodePath) -> bool:
        if path[:1] == ("auth",) and len(path) > 1:
            return path[1] not in OPEN_AUTH_KEYS
        if path[:2] == ("request", "cookies") and len(path) > 2:
            return True
        return any(isinstance(part, str) and is_secret_name(part) for part in path)

    def _remember(self, value: str) -> None:
        if len(value) >= MIN_MASKED_CHARS:
            self.secrets.add(value)

    def _piece(self, match: re.Match[str], mark: Mark) -> _Piece:
        """What one reference comes to; a finding and empty text if it cannot be filled in."""
        if match[0] == "$$":
            return _Piece("$", "$", reference=False)
        body, closing = match[1], match[2]
        if not closing:
            return self._broken(mark, f"'{match[0][:40]}' is never closed; write ${{NAME}}, or $$ for a dollar sign")
        if "${" in body:
            return self._broken(mark, f"'{match[0]}': a reference inside a reference is not possible; use `vars`")
        if body.startswith("file:"):
            return self._file(body.removeprefix("file:"), mark)
        variables = _VARS.fullmatch(body)
        if variables is not None:
            scalar = self._variable(variables["name"], mark)
            return _Piece(_native(scalar.value), f"${{{body}}}", secret=scalar.shown is not None)
        variable = _VARIABLE.fullmatch(body)
        if variable is None:
            return self._broken(
                mark,
                f"'{match[0]}' is no reference; write ${{NAME}}, ${{NAME:-default}}, ${{vars.name}} or ${{file:path}}",
            )
        return self._environment(variable["name"], variable["op"], variable["text"] or "", mark)

    def _environment(self, name: str, op: str | None, text: str, mark: Mark) -> _Piece:
        value = self.environment.get(name)
        present = value is not None and (value != "" or op is None or not op.startswith(":"))
        shown = f"${{{name}}}"
        secret = is_secret_name(name)
        if op is not None and op.endswith("+"):
            return _Piece(text if present else "", shown, secret=secret)
        if present:
            return _Piece(value or "", shown, secret=secret)
        if op is not None and op.endswith("-"):
            return _Piece(text, shown, secret=secret)
        state = "empty" if value == "" else "not set"
        hint = text or f"set it, or give a default: ${{{name}:-…}}"
        return self._broken(mark, f"the environment variable {name} is {state}: {hint}")

    def _variable(self, name: str, mark: Mark | None = None) -> Scalar:
        """The filled-in value of `vars.name`, made once; a cycle or an unknown name is a finding."""
        if name in self._resolved:
            return self._resolved[name]
        entry = self.variables.entries.get(name) if self.variables is not None else None
        if entry is None or not isinstance(entry.node, Scalar):
            place = mark or (entry.node.mark if entry else Mark("vars"))
            known = list(self.variables.entries) if self.variables else []
            reason = "must be one value" if entry else f"is not defined (known: {', '.join(known) or 'none'})"
            self.findings.append(Finding(place, f"vars.{name} {reason}"))
            return Scalar(place, "")
        if name in self._resolving:
            chain = " -> ".join([*self._resolving[self._resolving.index(name) :], name])
            self.findings.append(Finding(entry.node.mark, f"vars refer to each other in a circle: {chain}"))
            return Scalar(entry.node.mark, "")
        self._resolving.append(name)
        filled = self.fill_scalar(entry.node, secret=is_secret_name(name))
        self._resolving.pop()
        self._resolved[name] = filled
        return filled

    def _file(self, text: str, mark: Mark) -> _Piece:
        shown = f"${{file:{text}}}"
        path = self.base / text
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(MAX_SECRET_FILE_BYTES + 1)
            content = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except OSError as exc:
            return self._broken(mark, f"{shown}: cannot read the file: {exc.strerror or exc}")
        except (UnicodeDecodeError, ValueError):
            return self._broken(mark, f"{shown}: the file is not UTF-8 text")
        if len(data) > MAX_SECRET_FILE_BYTES:
            return self._broken(mark, f"{shown}: the file is larger than 64 KiB")
        if os.name == "posix" and mode & 0o004:
            self.warnings.append(Finding(mark, f"everyone on this machine may read {text}; `chmod o-r` it"))
        return _Piece(content, shown, secret=True)

    def _broken(self, mark: Mark, message: str) -> _Piece:
        self.findings.append(Finding(mark, message))
        return _Piece("", "")


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one reference came to."""

    value: ScalarValue
    shown: str
    secret: bool = False
    reference: bool = True  # false for `$$`, which is plain text


def _native(value: ScalarValue) -> ScalarValue:
    return value.native if isinstance(value, Loose) else value


def _as_text(value: ScalarValue) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
