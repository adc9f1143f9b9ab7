"""`Headers` and `HeadTemplate`."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import LocalProtocolError
from crawler.models import Headers, HeadTemplate

NAMES = st.sampled_from(["A", "a", "Content-Type", "content-type", "X-B", "x-b"])
FIELDS = st.lists(st.tuples(NAMES, st.text(st.characters(codec="ascii"), max_size=5)), max_size=6)


def test_mapping_without_case() -> None:
    """Names are found in any case, repeats are joined, order and case are kept."""
    headers = Headers([("Aa", "1"), ("AA", "2"), ("B", "3")])

    assert "aa" in headers
    assert "c" not in headers
    assert object() not in headers
    assert headers["aA"] == "1, 2"
    assert headers.get("aa") == "1, 2"
    assert headers.get("c") is None
    assert headers.get("c", "x") == "x"
    assert headers.get_list("aa") == ["1", "2"]
    assert list(headers) == list(headers.keys()) == ["aa", "b"]
    assert list(headers.values()) == ["1, 2", "3"]
    assert list(headers.items()) == [("aa", "1, 2"), ("b", "3")]
    assert headers.multi_items() == [("aa", "1"), ("aa", "2"), ("b", "3")]
    assert headers.raw == [(b"Aa", b"1"), (b"AA", b"2"), (b"B", b"3")]
    assert len(headers) == 3
    with pytest.raises(KeyError):
        headers["c"]


def test_setting_replaces_all_in_the_first_place() -> None:
    """Setting a name leaves one field where the first was, with the new case."""
    headers = Headers([("a", "1"), ("b", "2"), ("A", "3"), ("c", "4")])

    headers["A"] = "x"
    headers["D"] = "y"

    assert headers.raw == [(b"A", b"x"), (b"b", b"2"), (b"c", b"4"), (b"D", b"y")]


def test_deleting_removes_all() -> None:
    """Deleting a name leaves none of its fields."""
    headers = Headers([("a", "1"), ("b", "2"), ("A", "3")])

    del headers["A"]

    assert headers.raw == [(b"b", b"2")]
    with pytest.raises(KeyError):
        del headers["a"]


def test_update_puts_at_the_end() -> None:
    """An overriding field takes the user's case and its place at the end, with its repeats."""
    headers = Headers([("Accept", "*/*"), ("B", "2")])

    headers.update([("accept", "x"), ("C", "1"), ("ACCEPT", "y")])
    headers.update(None)

    assert headers.raw == [(b"B", b"2"), (b"accept", b"x"), (b"C", b"1"), (b"ACCEPT", b"y")]


def test_operators() -> None:
    """The operators merge, the right side winning, and leave their operands alone."""
    headers = Headers({"A": "1", "B": "2"})

    assert (headers | {"a": "x"}).raw == [(b"B", b"2"), (b"a", b"x")]
    assert ({"a": "x", "C": "3"} | headers).raw == [(b"C", b"3"), (b"A", b"1"), (b"B", b"2")]
    assert headers.raw == [(b"A", b"1"), (b"B", b"2")]
    headers |= [("c", "3")]
    assert headers["C"] == "3"
    with pytest.raises(TypeError):
        headers | 1  # type: ignore[operator]


def test_split_commas() -> None:
    """Lists in one field are split on demand."""
    headers = Headers([("vary", "a, b"), ("vary", "c")])

    assert headers.get_list("Vary") == ["a, b", "c"]
    assert headers.get_list("Vary", split_commas=True) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("value", "encoding", "text"),
    [
        (b"Example", "ascii", "Example"),
        ("☃".encode(), "utf-8", "☃"),
        ("ÿ".encode("iso-8859-1"), "iso-8859-1", "ÿ"),
    ],
)
def test_encoding_is_found_by_trial(value: bytes, encoding: str, text: str) -> None:
    """ASCII, UTF-8 and ISO-8859-1 are tried in this order."""
    headers = Headers([(b"Custom", value), (b"Other", b"x")])

    assert headers.encoding == encoding
    assert headers["custom"] == text
    assert dict(headers) == {"custom": text, "other": "x"}


def test_encoding_can_be_set() -> None:
    """A set encoding decodes, encodes and shows."""
    headers = Headers([(b"Custom", "☃".encode())])
    headers.encoding = "iso-8859-1"

    assert headers["custom"] == "â\x98\x83"
    assert headers.copy().encoding == "iso-8859-1"
    headers["b"] = "ÿ"
    assert headers.raw[1] == (b"b", b"\xff")
    assert repr(headers).endswith(", encoding='iso-8859-1')")


def test_text_must_be_ascii_unless_told() -> None:
    """Text beyond ASCII needs an encoding when it goes in by the constructor; setting takes UTF-8."""
    with pytest.raises(UnicodeEncodeError):
        Headers({"a": "ü"})
    assert Headers({"a": "ü"}, encoding="utf-8")["a"] == "ü"
    headers = Headers()
    headers["a"] = "ü"
    assert headers.raw == [(b"a", b"\xc3\xbc")]
    assert "é" not in headers


@pytest.mark.parametrize("value", [1, None, ["x"]])
def test_other_types_are_refused(value: object) -> None:
    """Numbers and None are no header values."""
    with pytest.raises(TypeError, match="Header value must be str or bytes, not"):
        Headers({"a": value})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Headers()["a"] = value  # type: ignore[assignment]


def test_equality() -> None:
    """Order and case do not count; other kinds of fields do, other things do not."""
    headers = Headers([("a", "1"), ("A", "2"), ("b", "3")])

    assert headers == [("b", "3"), ("a", "1"), ("A", "2")]
    assert headers == {"a": "1", "A": "2", "B": "3"}
    assert headers != {"a": "2", "A": "1"}
    assert headers != "a: 1"
    assert headers != 5
    assert Headers() == Headers(None)


def test_repr_hides_credentials() -> None:
    """What authenticates never shows."""
    secrets = {"Authorization": "x", "proxy-authorization": "x", "Cookie": "x", "Set-Cookie": "x"}

    assert "x" not in repr(Headers(secrets)).replace("proxy", "")
    assert repr(Headers({"authorization": "s3kr3t"})) == "Headers({'authorization': '[secure]'})"
    assert repr(Headers([("a", "1"), ("a", "2")])) == "Headers([('a', '1'), ('a', '2')])"


def test_from_wire_takes_the_list() -> None:
    """A codec's list is not copied, while `raw` and copies are independent."""
    raw = [(b"Content-Type", b"text/html"), (b"X", b"1")]
    headers = Headers.from_wire(raw)

    assert headers._raw is raw
    assert headers["content-type"] == "text/html"
    headers.raw.clear()
    made = headers.copy()
    made["x"] = "2"
    assert headers == Headers.from_wire([(b"Content-Type", b"text/html"), (b"X", b"1")])


def test_version_grows_with_changes_only() -> None:
    """Whatever was made from the fields is good as long as the version stays."""
    headers = Headers({"a": "1"})
    assert headers.get("a"), list(headers)
    assert headers.version == 0

    versions = []
    headers["b"] = "2"
    versions.append(headers.version)
    del headers["a"]
    versions.append(headers.version)
    headers.update({"c": "3"})
    versions.append(headers.version)
    headers.setdefault("d", "4")
    versions.append(headers.version)

    assert versions == [1, 2, 3, 4]


def test_pickle() -> None:
    """Headers survive pickling."""
    headers = Headers([("A", "1"), ("a", "2")], encoding="utf-8")

    made = pickle.loads(pickle.dumps(headers))

    assert made.raw == headers.raw
    assert made.encoding == "utf-8"


@given(FIELDS, st.lists(st.tuples(st.sampled_from(["set", "del", "update"]), NAMES), max_size=5))
def test_look_ups_agree_with_the_list(fields: list[tuple[str, str]], steps: list[tuple[str, str]]) -> None:
    """After any changes, each look-up is what a walk over the raw fields gives."""
    headers = Headers(fields)
    for step, name in steps:
        assert (name in headers) == any(key.lower() == name.lower().encode() for key, _ in headers.raw)
        if step == "set":
            headers[name] = "new"
        elif step == "update":
            headers.update({name: "new"})
        else:
            headers.pop(name, None)

    for name in ("a", "content-type", "x-b"):
        values = [value.decode() for key, value in headers.raw if key.lower() == name.encode()]
        assert headers.get_list(name) == values
        assert headers.get(name) == (", ".join(values) if values else None)
    assert headers == Headers(headers.raw[::-1])


@given(FIELDS)
def test_order_and_case_are_kept(fields: list[tuple[str, str]]) -> None:
    """What goes in comes out, field by field."""
    assert Headers(fields).raw == [(name.encode(), value.encode()) for name, value in fields]


def test_template() -> None:
    """The template has the fields without Host, encoded once, and does not follow later changes."""
    headers = Headers([("Accept", "*/*"), ("host", "own"), ("X-A", "ü")], encoding="utf-8")
    template = HeadTemplate(headers)
    headers["Accept"] = "changed"

    assert template.pairs == ((b"Accept", b"*/*"), (b"X-A", "ü".encode()))
    assert template.lines == "Accept: */*\r\nX-A: ü\r\n".encode()
    assert template.host == b"own"
    assert HeadTemplate(Headers()).lines == b""
    assert HeadTemplate(Headers()).host is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", "x\r\nB: y"),
        ("a", "x\ny"),
        ("a", "x\ry"),
        ("a", "x\x00"),
        ("a b", "x"),
        ("", "x"),
        ("a:", "x"),
        ("ü", "x"),
    ],
)
def test_template_refuses_what_would_inject(name: str, value: str) -> None:
    """Neither a name nor a value can end its line."""
    with pytest.raises(LocalProtocolError):
        HeadTemplate(Headers({name: value}, encoding="utf-8"))
