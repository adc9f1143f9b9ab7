"""The choice of codecs by the environment."""

from __future__ import annotations

import pytest

from crawler.wire import codecs, http1_h11, http1_llhttp, http2, http2_h2


@pytest.fixture(autouse=True)
def _choose_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is the first to ask."""
    monkeypatch.setattr(codecs, "_http1", None)
    monkeypatch.setattr(codecs, "_http2", None)


def test_fast_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word of the user the fast codecs are taken."""
    monkeypatch.delenv("CRAWLER_CODECS", raising=False)

    assert type(codecs.http1_reader()) is http1_llhttp.Http1Reader
    assert type(codecs.http2_connection()) is http2.Http2Connection


def test_reference_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """`CRAWLER_CODECS=reference` selects the reference codecs, and the choice stays."""
    monkeypatch.setenv("CRAWLER_CODECS", "reference")

    for _ in range(2):
        assert type(codecs.http1_reader()) is http1_h11.Http1Reader
        assert type(codecs.http2_connection()) is http2_h2.Http2Connection
        monkeypatch.delenv("CRAWLER_CODECS", raising=False)


def test_unknown_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in the variable is told, not passed over."""
    monkeypatch.setenv("CRAWLER_CODECS", "h11")

    with pytest.raises(ValueError, match="CRAWLER_CODECS"):
        codecs.http1_reader()
    with pytest.raises(ValueError, match="CRAWLER_CODECS"):
        codecs.http2_connection()
