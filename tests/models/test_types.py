"""The type aliases work at run time, not only for type checkers."""

from __future__ import annotations

import typing
from http.cookiejar import CookieJar

import pytest

from crawler.models import URL, Cookies, Timeout, types


def takes(
    url: types.URLTypes,
    params: types.QueryParamTypes,
    headers: types.HeaderTypes,
    cookies: types.CookieTypes,
    timeout: types.TimeoutTypes,
    files: types.RequestFiles,
) -> None:
    """A function annotated as a user would."""


def test_hints_resolve() -> None:
    """Every alias resolves to real classes, so that pydantic and the like can use them."""
    hints = typing.get_type_hints(takes)

    assert URL in typing.get_args(hints["url"])
    assert {Cookies, CookieJar} <= set(typing.get_args(hints["cookies"]))
    assert Timeout in typing.get_args(hints["timeout"])
    assert isinstance(URL("http://h"), types.URLTypes)


def test_no_other_names() -> None:
    """What is not there is the usual error."""
    with pytest.raises(AttributeError):
        _ = types.NopeTypes  # type: ignore[attr-defined]
