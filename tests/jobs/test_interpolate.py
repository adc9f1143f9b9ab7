from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.jobs.findings import Mark
from crawler.jobs.interpolate import Interpolation, Loose, is_secret_name
from crawler.jobs.nodes import Map, Scalar, from_plain, plain

MARK = Mark("job.yaml", 3, 5)
ENVIRONMENT = {"SET": "value", "EMPTY": "", "REF": "${SET} {x} $$", "API_TOKEN": "sesame-open", "N": "64"}


def fill(text: str, base: Path = Path()) -> tuple[object, list[str]]:
    """`text` filled in, and the findings."""
    filling = Interpolation(ENVIRONMENT, base)
    return filling.fill_scalar(Scalar(MARK, text)).value, [finding.message for finding in filling.findings]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("${SET}", "value"),
        ("a ${SET} b ${SET}", "a value b value"),
        ("${EMPTY}", ""),
        ("${UNSET:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${SET:-default}", "value"),
        ("${UNSET-default}", "default"),
        ("${EMPTY-default}", ""),
        ("${UNSET:-}", ""),
        ("${UNSET:-https://h/?a=1&b=2}", "https://h/?a=1&b=2"),
        ("${SET:?needed}", "value"),
        ("${EMPTY?needed}", ""),
        ("${SET:+given}", "given"),
        ("${EMPTY:+given}", ""),
        ("${EMPTY+given}", "given"),
        ("${UNSET:+given}", ""),
        ("$$", "$"),
        ("$${SET}", "${SET}"),
        ("$$$$", "$$"),
        ("cost: $5, ^a$", "cost: $5, ^a$"),
        ("${REF}", "${SET} {x} $$"),
        ("<${REF}>", "<${SET} {x} $$>"),
    ],
)
def test_forms(text: str, filled: str) -> None:
    """Every form of a reference; what came in is never expanded again."""
    assert fill(text) == (filled, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${UNSET}", "the environment variable UNSET is not set: set it, or give a default: ${UNSET:-…}"),
        ("${EMPTY:?}", "the environment variable EMPTY is empty: set it, or give a default: ${EMPTY:-…}"),
        ("${UNSET:?ask Anna}", "the environment variable UNSET is not set: ask Anna"),
        ("${UNSET?ask Anna}", "the environment variable UNSET is not set: ask Anna"),
        ("${SET", "'${SET' is never closed; write ${NAME}, or $$ for a dollar sign"),
        ("${a:-${SET}}", "'${a:-${SET}': a reference inside a reference is not possible; use `vars`"),
        ("${vars.x}", "vars.x is not defined (known: none)"),
        ("${file:none.txt}", "${file:none.txt}: cannot read the file: No such file or directory"),
    ],
)
def test_what_cannot_be_filled_in(text: str, message: str) -> None:
    """Each failure says which variable or file, and what to do."""
    assert fill(text)[1] == [message]


@pytest.mark.parametrize("text", ["${}", "${1A}", "${A B}", "${A:=x}", "${vars.}", "${a.b}"])
def test_what_is_no_reference(text: str) -> None:
    """An unknown form is refused, not left in the text."""
    assert "is no reference" in fill(text)[1][0]


def test_all_missing_names_come_together() -> None:
    """One run names every missing variable."""
    filling = Interpolation({}, Path())
    filling.fill(from_plain({"a": "${ONE}", "b": ["${TWO}", {"c": "${THREE} ${FOUR}"}]}, MARK))
    assert [finding.message.split()[3] for finding in filling.findings] == ["ONE", "TWO", "THREE", "FOUR"]


def test_one_reference_alone_is_loose() -> None:
    """The schema may read a lone reference as a number; a part of a text is text."""
    assert isinstance(fill("${N}")[0], Loose)
    assert not isinstance(fill("${N} ")[0], Loose)
    assert not isinstance(fill("$$")[0], Loose)


def test_values_cannot_add_keys() -> None:
    """A value that reads like YAML stays one text."""
    filling = Interpolation({"EVIL": "x\nconcurrency: 9\n? [a]"}, Path())
    assert plain(filling.fill(from_plain({"a": "${EVIL}"}, MARK))) == {"a": "x\nconcurrency: 9\n? [a]"}


def with_vars(variables: dict[str, object], text: str, environment: dict[str, str] | None = None) -> Interpolation:
    tree = from_plain({"vars": variables, "a": text}, MARK)
    assert isinstance(tree, Map)
    inner = tree.get("vars")
    assert isinstance(inner, Map)
    filling = Interpolation(environment or {}, Path(), inner)
    filling.fill(tree)
    return filling


def test_variables_of_the_job() -> None:
    """`vars` may use the environment and each other, and keep their own type."""
    tree = from_plain({"vars": {"a": "${SET}/x", "b": "${vars.a}/y", "n": 5}, "u": "${vars.b}", "m": "${vars.n}"}, MARK)
    assert isinstance(tree, Map)
    inner = tree.get("vars")
    assert isinstance(inner, Map)
    filled = plain(Interpolation(ENVIRONMENT, Path(), inner).fill(tree))
    assert isinstance(filled, dict)
    assert filled["u"] == "value/x/y"
    assert filled["m"] == "5"
    assert isinstance(filled["m"], Loose)
    assert filled["m"].native == 5


def test_variables_in_a_circle() -> None:
    """A circle is one finding that shows the way round."""
    (finding,) = with_vars({"a": "${vars.b}", "b": "x${vars.a}"}, "${vars.a}").findings
    assert finding.message == "vars refer to each other in a circle: a -> b -> a"


def test_variable_that_is_no_value() -> None:
    """A list cannot be put into a text."""
    (finding,) = with_vars({"a": [1]}, "${vars.a}").findings
    assert finding.message == "vars.a must be one value"


def test_extensions_are_left_alone() -> None:
    """What stands under `x-*` is ignored, so it needs no variables."""
    filling = Interpolation({}, Path())
    filling.fill(from_plain({"x-note": "${NOPE}"}, MARK))
    assert filling.findings == []


def test_file_content(tmp_path: Path) -> None:
    """A file's text comes without its last line end, and is a secret."""
    (tmp_path / "s").write_bytes(b"line one\nline two\r\n")
    (tmp_path / "s").chmod(0o600)
    filling = Interpolation({}, tmp_path)
    scalar = filling.fill_scalar(Scalar(MARK, "${file:s}"))
    assert scalar.value == "line one\nline two"
    assert scalar.shown == "${file:s}"
    assert filling.secrets == {"line one\nline two"}
    assert filling.warnings == []


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_readable_secret_file_is_warned_about(tmp_path: Path) -> None:
    """A secret that everyone may read is used, with a warning."""
    (tmp_path / "s").write_text("secret")
    (tmp_path / "s").chmod(0o644)
    filling = Interpolation({}, tmp_path)
    filling.fill_scalar(Scalar(MARK, "${file:s}"))
    assert [warning.message for warning in filling.warnings] == ["everyone on this machine may read s; `chmod o-r` it"]


def test_large_and_binary_files_are_refused(tmp_path: Path) -> None:
    """A secret is at most 64 KiB of text."""
    (tmp_path / "large").write_bytes(b"x" * (64 * 1024 + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert fill("${file:large}", tmp_path)[1] == ["${file:large}: the file is larger than 64 KiB"]
    assert fill("${file:binary}", tmp_path)[1] == ["${file:binary}: the file is not UTF-8 text"]


@pytest.mark.parametrize(
    ("key", "text", "shown", "secrets"),
    [
        ("Authorization", "Bearer ${SET}", "Bearer ${SET}", {"value", "Bearer value"}),
        ("authorization", "Basic abcdef", "***", {"Basic abcdef"}),
        ("X-Api-Key", "pre-${SET}-post", "***${SET}***", {"value", "pre-value-post"}),
        ("client_secret", "${SET:-fallback}", "${SET}", {"value"}),
        ("Accept", "t=${API_TOKEN}", "t=${API_TOKEN}", {"sesame-open"}),
        ("Accept", "${SET}", None, set()),
        ("Accept", "text/html", None, set()),
    ],
)
def test_secrets(key: str, text: str, shown: str | None, secrets: set[str]) -> None:
    """Secrets are known by the key's or the variable's name; only the variable's name is ever shown."""
    tree = from_plain({"headers": {key: text}}, MARK)
    filling = Interpolation(ENVIRONMENT, Path())
    filled = filling.fill(tree)
    assert isinstance(filled, Map)
    headers = filled.get("headers")
    assert isinstance(headers, Map)
    scalar = headers.get(key)
    assert isinstance(scalar, Scalar)
    assert scalar.shown == shown
    assert filling.secrets == secrets


def test_secret_through_vars() -> None:
    """A variable made of a secret is one."""
    filling = with_vars({"auth": "${file_token}"}, "${vars.auth}", {"file_token": "longsecret"})
    assert filling.secrets == {"longsecret"}


def test_short_secrets_are_not_searched_for() -> None:
    """Masking each `1` would break every text."""
    filling = Interpolation({"MY_TOKEN": "1"}, Path())
    assert filling.fill_scalar(Scalar(MARK, "${MY_TOKEN}")).shown == "${MY_TOKEN}"
    assert filling.secrets == set()


def test_secret_names() -> None:
    """Names that mark a secret, and names that only look like it."""
    assert all(
        map(is_secret_name, ["api_key", "X-API-Key", "DB_PASSWORD", "passwd", "Cookie", "token", "CLIENT_SECRET"])
    )
    assert not any(map(is_secret_name, ["key", "cookies", "author", "path"]))


@given(st.text())
def test_escaped_text_stands_for_itself(text: str) -> None:
    """Doubling the dollar signs of any text gives it back."""
    assert fill(text.replace("$", "$$")) == (text, [])


@given(st.text(), st.text(alphabet="ab$ {}", max_size=5))
def test_any_value_of_a_variable_is_text(value: str, around: str) -> None:
    """Whatever a variable holds comes in unchanged."""
    filling = Interpolation({"V": value}, Path())
    escaped = around.replace("$", "$$")
    assert filling.fill_scalar(Scalar(MARK, f"<{escaped}${{V}}{escaped}>")).value == f"<{around}{value}{around}>"
    assert filling.findings == []


@given(st.text(alphabet="${}AB:-?+.vars file"))
def test_any_text_is_filled_in_or_refused(text: str) -> None:
    """Interpolation never raises."""
    value, _ = fill(text)
    assert isinstance(value, str)
