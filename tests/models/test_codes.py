"""`codes`."""

from __future__ import annotations

import pytest

from crawler.models import codes


def test_names_and_numbers() -> None:
    """Codes are found by name in either case and by number, and are integers."""
    assert {404: "x"}[codes.NOT_FOUND] == "x"
    assert codes(404) is codes.NOT_FOUND
    assert codes["NOT_FOUND"] is codes.NOT_FOUND
    assert codes.not_found == 404
    assert type(codes.not_found) is int
    assert str(codes.NOT_FOUND) == "404"
    assert f"{codes.OK:d}" == "200"
    assert len(codes) == 62


def test_phrases() -> None:
    """Reason phrases come by number; an unnamed code has none."""
    assert codes.get_reason_phrase(404) == "Not Found"
    assert codes.get_reason_phrase(418) == "I'm a teapot"
    assert codes.get_reason_phrase(413) == "Content Too Large"
    assert codes.get_reason_phrase(499) == ""
    assert codes.IM_A_TEAPOT.phrase == "I'm a teapot"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("REQUEST_ENTITY_TOO_LARGE", codes.CONTENT_TOO_LARGE),
        ("REQUEST_URI_TOO_LONG", codes.URI_TOO_LONG),
        ("REQUESTED_RANGE_NOT_SATISFIABLE", codes.RANGE_NOT_SATISFIABLE),
        ("UNPROCESSABLE_ENTITY", codes.UNPROCESSABLE_CONTENT),
    ],
)
def test_old_names_warn(old: str, new: codes) -> None:
    """Names that RFC 9110 replaced still work, with a warning; in lower case without."""
    with pytest.warns(DeprecationWarning, match=f"'{old}' is deprecated. Use '{new.name}' instead."):
        assert getattr(codes, old) is new
    with pytest.warns(DeprecationWarning, match=old):
        assert codes[old] is new
    assert getattr(codes, old.lower()) == new


def test_unknown_names() -> None:
    """What is no code is the usual error."""
    with pytest.raises(AttributeError):
        _ = codes.NOPE
    with pytest.raises(KeyError):
        codes["NOPE"]
    with pytest.raises(ValueError, match="999"):
        codes(999)


def test_classes() -> None:
    """The predicates go by the hundreds, also for codes without a name."""
    tests = [codes.is_informational, codes.is_success, codes.is_redirect, codes.is_client_error, codes.is_server_error]

    for index, test in enumerate(tests, start=1):
        assert [test(code) for code in (index * 100 - 1, index * 100, index * 100 + 99, index * 100 + 100)] == [
            False,
            True,
            True,
            False,
        ]
    assert [codes.is_error(code) for code in (399, 400, 599, 600)] == [False, True, True, False]
