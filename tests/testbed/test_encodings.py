"""Content codings and charsets."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from typing import Any

import brotli
import pytest

from crawler.testbed.encodings import CHARSETS, JAPANESE, encoded_page

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Ask = Any  # the `Asker` of conftest.py

DECODERS = {
    "/gzip": gzip.decompress,
    "/deflate": zlib.decompress,
    "/deflate?raw=1": lambda data: zlib.decompress(data, wbits=-15),
    "/br": brotli.decompress,
    "/zstd": zstd.decompress,
}


@pytest.mark.parametrize("path", DECODERS)
def test_codings(ask: Ask, path: str) -> None:
    """The body decodes by its coding to JSON that names it; the length is that of what is sent."""
    reply = ask(path)
    coding = path.strip("/").partition("?")[0]
    assert reply.headers["content-encoding"] == coding
    assert json.loads(DECODERS[path](reply.body))["coding"] == coding
    assert int(reply.headers["content-length"]) == len(reply.body)


def test_padding_makes_a_small_bomb(ask: Ask) -> None:
    """A megabyte of blanks is sent as about a kilobyte."""
    body = ask("/gzip?pad=1000000").body
    assert len(body) < 5_000
    assert len(gzip.decompress(body)) > 1_000_000


@pytest.mark.parametrize("name", CHARSETS)
def test_charsets(ask: Ask, name: str) -> None:
    """Each page has the bytes and the label it promises."""
    _, body, content_type = encoded_page(name)
    reply = ask(f"/encoding/{name}")
    assert (reply.body, reply.headers["content-type"]) == (body, content_type)


def test_some_labels_are_true_and_one_is_false() -> None:
    """`shift_jis` decodes by its label; `wrong` does not."""
    page, body, content_type = encoded_page("shift_jis")
    assert content_type == "text/html; charset=shift_jis"
    assert JAPANESE in page
    assert page == body.decode("shift_jis")
    with pytest.raises(UnicodeDecodeError):
        encoded_page("wrong")[1].decode("utf-8")


def test_unknown_pages_are_refused(ask: Ask) -> None:
    """A charset that is not there is answered with those that are."""
    reply = ask("/encoding/klingon")
    assert reply.status == 400
    assert "shift_jis" in reply.text
