from __future__ import annotations

from pathlib import Path

import pytest

from crawler.jobs.document import MAX_FILE_BYTES, parse_document, parse_value, read_document, resolve_core
from crawler.jobs.findings import Mark
from crawler.jobs.nodes import Items, Map, Scalar, plain


def findings_of(text: str) -> list[str]:
    """The findings of a document as they are printed."""
    return [str(finding) for finding in parse_document(text, "job.yaml")[1]]


def values_of(text: str) -> object:
    tree, findings = parse_document(text, "job.yaml")
    assert tree is not None
    assert findings == []
    return plain(tree)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("2026-11-21", "2026-11-21"),
        ("0o17", 15),
        ("0x1f", 31),
        ("-5", -5),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", float("inf")),
        ("-.Inf", float("-inf")),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_plain_scalars_are_yaml_1_2_core(text: str, value: object) -> None:
    """Only the core schema's words and numbers are more than text; 010 stays text as well."""
    assert resolve_core(text) == value
    assert type(resolve_core(text)) is type(value)


def test_nan_is_a_number() -> None:
    """`.nan` is read, so that the schema can refuse it by name."""
    value = resolve_core(".nan")
    assert isinstance(value, float)
    assert value != value


def test_quoted_scalars_are_text() -> None:
    """Quotes and block scalars are never numbers."""
    assert values_of("a: '1'\nb: \"true\"\nc: |\n  5\nd: !!str 7\ne: ! 8\n") == {
        "a": "1",
        "b": "true",
        "c": "5\n",
        "d": "7",
        "e": "8",
    }


def test_every_value_knows_its_place() -> None:
    """Keys and values have line and column, from 1."""
    tree, _ = parse_document("a:\n  - x\n  - {b: 1}\n", "job.yaml")
    assert tree is not None
    assert tree.entries["a"].key_mark == Mark("job.yaml", 1, 1)
    items = tree.get("a")
    assert isinstance(items, Items)
    assert items.values[0].mark == Mark("job.yaml", 2, 5)
    inner = items.values[1]
    assert isinstance(inner, Map)
    assert inner.entries["b"].key_mark == Mark("job.yaml", 3, 6)
    assert inner.entries["b"].node == Scalar(Mark("job.yaml", 3, 9), 1)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "job.yaml:1:1: the file is empty; a job needs `urls` or `input`"),
        ("# only a comment\n", "job.yaml:1:1: the file is empty; a job needs `urls` or `input`"),
        ("urls:\n\t- a\n", "job.yaml:2:1: a tab cannot indent YAML; use spaces"),
        ("urls:\n  a: 1\n\tb: 2\n", "job.yaml:3:1: a tab cannot indent YAML; use spaces"),
        ("- a\n", "job.yaml:1:1: a job is a mapping (`key: value` lines), beginning with `urls:`"),
        ("a: 1\n---\nb: 2\n", "job.yaml:2:1: a second document (`---`) begins here; a job file holds one"),
        ("a: \x00\n", "job.yaml:1:4: not YAML: special characters are not allowed"),
        ("%YAML 1.1\n---\na: no\n", "job.yaml:2:1: job files are YAML 1.2; remove the %YAML line"),
        ("a: *b\n", "job.yaml:1:4: the alias *b was never defined (`&name` comes before `*name`)"),
        ("a: &b [*b]\n", "job.yaml:1:8: the alias *b contains itself"),
        ("a: 1\na: 2\n", "job.yaml:2:1: duplicate key 'a' (first in line 1)"),
        ("1: x\n", "job.yaml:1:1: the key 1 is not text; put it in quotes"),
        ("? [1]\n: x\n", "job.yaml:1:3: the key is not text; put it in quotes"),
        ("a: !!int x\n", "job.yaml:1:4: 'x' is no value of !!int"),
    ],
)
def test_what_is_no_job_is_said_with_its_place(text: str, finding: str) -> None:
    """Each way of being no YAML job gives one line with file, line and column."""
    assert findings_of(text) == [finding]


def test_broken_syntax_has_a_place() -> None:
    """The parser's own complaint is translated."""
    (finding,) = findings_of("a: [1, 2\nb: 3\n")
    assert finding.startswith("job.yaml:2:2: not YAML: expected")


def test_unquoted_reference_in_a_flow_map_has_a_hint() -> None:
    """`{a: ${B}}` is no YAML; the message says what to do."""
    (finding,) = findings_of("a: {b: ${C}}\n")
    assert finding.endswith("inside {…} and […], put ${…} in quotes")


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("a: !!python/object/apply:os.system [echo]\n", "!!python/object/apply:os.system"),
        ("a: !!python/name:os.system x\n", "!!python/name:os.system"),
        ("a: !include other.yaml\n", "!include"),
        ("a: !!binary aGk=\n", "!!binary"),
        ("a: !!set {x: null}\n", "!!set"),
    ],
)
def test_tags_that_build_objects_are_refused(text: str, tag: str) -> None:
    """Only the core schema's tags may stand in a job file."""
    assert findings_of(text) == [f"job.yaml:1:4: the tag {tag} is not allowed in a job file; write the plain value"]


def test_merge_keys_are_refused() -> None:
    """`<<` is not YAML 1.2, and would hide where a value came from."""
    (finding,) = findings_of("x-a: &a {b: 1}\nc: {<<: *a}\n")
    assert finding.startswith("job.yaml:2:5: merge keys (<<) are not part of YAML 1.2")


def test_all_findings_of_a_file_come_together() -> None:
    """Duplicate keys, tags and bad keys are reported in one run."""
    assert len(findings_of("a: 1\na: !!python/none x\n2: y\n<<: {}\n")) == 4


def test_aliases_work() -> None:
    """An alias stands for the whole value it names."""
    assert values_of("x-r: &r {attempts: 2}\nretry: *r\n") == {"x-r": {"attempts": 2}, "retry": {"attempts": 2}}


def test_alias_bomb_is_refused() -> None:
    """Nine levels of ten aliases are a billion values; the fourth level is one too many."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (finding,) = findings_of("\n".join(lines) + "\n")
    assert "more than 1000 alias expansions" in finding
    assert finding.startswith("job.yaml:4:")


def test_a_wide_alias_is_refused_by_its_weight() -> None:
    """Few aliases of a large list count with all their values."""
    text = f"a: &a [{'1, ' * 5000}]\nb: [{', '.join(['*a'] * 8)}]\n"
    (finding,) = findings_of(text)
    assert "more than 30000 values" in finding


@pytest.mark.parametrize("text", ["a: " + "[" * 200_000, "a: " + "{b: " * 100_000])
def test_deep_nesting_is_refused_early(text: str) -> None:
    """The fiftieth level ends the reading, whatever follows."""
    (finding,) = findings_of(text)
    assert "nested deeper than 50 levels" in finding


def test_a_tag_without_end_is_refused() -> None:
    """The library would take seconds for it; long texts are none."""
    (finding,) = findings_of("a: 1\nb: [!" + "x" * 1_000_000 + "]\n")
    assert finding == "job.yaml:2:5: a tag without end"
    assert findings_of("a: 'http://h/?!" + "x" * 10_000 + "'\n") == []


def test_depth_counts_through_aliases() -> None:
    """Aliases cannot build what nesting may not."""
    deep = "[" * 30 + "]" * 30
    (finding,) = findings_of(f"a: &a {deep}\nb: {'[' * 30}*a{']' * 30}\n")
    assert "once *a is expanded" in finding


def test_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    """A file saved by Windows editors reads the same."""
    path = tmp_path / "job.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    tree, findings = read_document(path)
    assert findings == []
    assert tree is not None
    assert plain(tree) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        ("a: ü\n".encode("utf-16"), ":1:1", "the file is UTF-16; save it as UTF-8"),
        (b"a: 1\nb: \xfcx\n", ":2:4", "byte 0xfc is not UTF-8; save the file as UTF-8"),
    ],
)
def test_wrong_encoding_has_its_place(tmp_path: Path, data: bytes, place: str, message: str) -> None:
    """The first byte that is no UTF-8 is named with line and column."""
    path = tmp_path / "job.yaml"
    path.write_bytes(data)
    tree, findings = read_document(path)
    assert tree is None
    assert [str(finding) for finding in findings] == [f"{path}{place}: {message}"]


def test_large_file_is_refused_unread(tmp_path: Path) -> None:
    """A sparse file of 100 MB is refused by its size."""
    path = tmp_path / "job.yaml"
    with path.open("wb") as file:
        file.truncate(100 * MAX_FILE_BYTES)
    _, (finding,) = read_document(path)
    assert "larger than 1 MiB" in finding.message


def test_missing_file_and_folder(tmp_path: Path) -> None:
    """What cannot be opened is a finding too."""
    for path in (tmp_path / "none.yaml", tmp_path):
        _, (finding,) = read_document(path)
        assert finding.message.startswith("cannot read the job file: ")


def test_values_from_outside_a_file() -> None:
    """`--set` values are YAML, and stand at the option."""
    mark = Mark("--set a=…")
    node, findings = parse_value("{b: [1, x]}", mark)
    assert findings == []
    assert node is not None
    assert node.mark == mark
    assert plain(node) == {"b": [1, "x"]}
    assert parse_value("", mark)[0] == Scalar(mark, None)
    assert parse_value("[1", mark)[1][0].message.startswith("the value is not YAML")
