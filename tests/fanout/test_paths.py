"""Safe file names from hostile text."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout.paths import FileExists, Folder, PathError, collision_key, numbered, safe_parts, shorten, url_path


@pytest.mark.parametrize(
    ("wished", "parts"),
    [
        ("a/b.html", ("a", "b.html")),
        ("../../etc/passwd", ("etc", "passwd")),
        ("/etc/passwd", ("etc", "passwd")),
        ("%2e%2e%2fetc%2Fpasswd", ("etc", "passwd")),
        ("..%5c..%5cwindows", ("windows",)),
        ("a\\..\\b", ("a", "b")),
        ("C:\\x", ("C%3A", "x")),
        ("a\x00b", ("a%00b",)),
        ("a%00b", ("a%00b",)),
        ("line\nfeed", ("line%0Afeed",)),
        ("CON", ("_CON",)),
        ("nul.txt", ("_nul.txt",)),
        ("console", ("console",)),
        ("-rf", ("_-rf",)),
        ("trailing.", ("trailing%2E",)),
        ("space ", ("space%20",)),
        ("a//./b", ("a", "b")),
        ("...", None),
        ("", None),
        ("a/../..", ("a",)),
        ("x.part", ("x.part_",)),
        ("who?a=1&b=*", ("who%3Fa=1&b=%2A",)),
        ("e\u0301", ("\u00e9",)),
        ("bad%FFbytes", ("bad?bytes".replace("?", "%3F"),)),
    ],
)
def test_names(wished: str, parts: tuple[str, ...] | None) -> None:
    """Each component is harmless, leads downwards only, and looks like what was wished for."""
    if parts is None:
        with pytest.raises(PathError):
            safe_parts(wished)
    else:
        assert safe_parts(wished) == parts


@given(st.text(max_size=400))
def test_any_text_is_refused_or_safe(wished: str) -> None:
    """Whatever the text: no component is empty, special, too long or able to leave the folder."""
    try:
        parts = safe_parts(wished)
    except PathError:
        return
    for part in parts:
        assert part not in ("", ".", "..")
        assert not set(part) & set('/\\\0<>:"|?*\n\r\t')
        assert len(part.encode()) <= 250
        assert part[0] != "-"
        assert part[-1] not in ". "
        assert not part.lower().endswith(".part")
        assert unicodedata.is_normalized("NFC", part)


def test_long_names_are_shortened_and_stay_different() -> None:
    """A cut name keeps its suffix and gets a hash of the whole."""
    names = {shorten("x" * 300 + str(n) + ".tar") for n in range(10)}

    assert len(names) == 10
    assert all(len(name.encode()) <= 250 and name.endswith(".tar") for name in names)
    assert len(shorten("ä" * 300).encode()) <= 250


def test_numbers_go_before_the_suffix() -> None:
    """The second of a name is `~2`."""
    assert numbered(("d", "a.html"), 1) == ("d", "a.html")
    assert numbered(("d", "a.html"), 2) == ("d", "a~2.html")
    assert numbered(("d", "a"), 3) == ("d", "a~3")
    assert numbered((".profile",), 2) == (".profile~2",)
    assert len(numbered(("x" * 250,), 12)[0].encode()) <= 250


def test_case_and_form_collide() -> None:
    """Names that are one on a file system that ignores case have one key."""
    assert collision_key(("A", "Straße")) == collision_key(("a", "STRASSE"))
    assert collision_key(("a", "b")) != collision_key(("a", "c"))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://h.example/a/b", "h.example/a/b"),
        ("http://h.example", "h.example/index"),
        ("http://h.example/a/", "h.example/a/index"),
        ("http://h.example:8080/a?x=1", "h.example_8080/a?x=1"),
        ("https://h.example:443/a", "h.example/a"),
        ("http://h.example:bad/a", "h.example/a"),
    ],
)
def test_names_from_urls(url: str, path: str) -> None:
    """Host and path, the query too, as pages that differ only there are different pages."""
    assert url_path(url) == path


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A symbolic link in the tree, at the final or at the temporary name never leads outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    target = outside / "target"
    target.write_bytes(b"untouched")
    inside = tmp_path / "inside"
    folder = Folder(inside)
    (inside / "way").symlink_to(outside)
    (inside / "name.part").symlink_to(target)
    (inside / "name").symlink_to(target)

    with pytest.raises(FileExists):
        folder.open_parent(("way", "file"))
    parent = folder.open_parent(("name",))
    fd = folder.open_part(parent, "name")
    os.write(fd, b"new")
    os.close(fd)
    os.rename("name.part", "name", src_dir_fd=parent, dst_dir_fd=parent)
    os.close(parent)
    folder.close()

    assert target.read_bytes() == b"untouched"
    assert (inside / "name").read_bytes() == b"new"
    assert os.listdir(outside) == ["target"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "hard link"])
def test_what_is_not_ours_is_not_written_into(tmp_path: Path, kind: str) -> None:
    """A folder, a pipe or a hard link to another file in the final place is an error for that URL."""
    place = tmp_path / "name"
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        (tmp_path / "other").write_bytes(b"other")
        os.link(tmp_path / "other", place)
    folder = Folder(tmp_path)
    parent = folder.open_parent(("name",))

    with pytest.raises(FileExists):
        folder.open_part(parent, "name")

    os.close(parent)
    folder.close()
