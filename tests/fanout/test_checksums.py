"""Checksums: lists as people write them, digests as servers say them, all of them computed at once."""

from __future__ import annotations

import base64
import hashlib

import pytest

from crawler.fanout.checksums import Digests, parse_checksum, parse_sums, server_checksums

DATA = b"some bytes"
SHA256 = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()


def test_lists_of_all_forms() -> None:
    """GNU text and binary lines, BSD lines, escaped names, comments and the frame of a signature."""
    other = hashlib.sha512(b"x").hexdigest()
    text = "\n".join(
        [
            "-----BEGIN PGP SIGNED MESSAGE-----",
            "Hash: SHA256",
            "# a comment",
            f"{SHA256}  dir/a.bin",
            f"{SHA256.upper()} *b.bin\r",
            f"SHA512 (c d.bin) = {other}",
            f"\\{MD5}  new\\nline",
            "deadbeef  too-short.bin",
        ]
    )
    sums = parse_sums(text)

    assert sums.find("dir/a.bin") == (("sha256", SHA256),)
    assert sums.find("b.bin") == (("sha256", SHA256),)
    assert sums.find("c d.bin") == (("sha512", other),)
    assert sums.find("new\nline") == (("md5", MD5),)
    assert sums.find("too-short.bin") == ()
    assert len(sums) == 4


def test_names_are_found_below_folders() -> None:
    """A list made within a folder matches URLs that have more in front; a bare name only if it is one file's."""
    sums = parse_sums(f"{SHA256}  ./v1/a.bin\n{MD5}  v2/a.bin\n{MD5}  v2/only.bin\n")

    assert sums.find("host/pub/v1/a.bin") == (("sha256", SHA256),)
    assert sums.find("host/other/only.bin") == (("md5", MD5),)
    assert sums.find("host/a.bin") == ()


def test_a_list_that_is_none() -> None:
    """An error page is no list."""
    with pytest.raises(ValueError, match="no line"):
        parse_sums("<html>404</html>")


@pytest.mark.parametrize("text", ["", "12", "g" * 64, "sha1:" + "0" * 64])
def test_no_checksum(text: str) -> None:
    """What has not the digits of its algorithm is refused."""
    with pytest.raises(ValueError, match="64 hexadecimal"):
        parse_checksum("sha256", text)


def test_checksums_as_written() -> None:
    """Capitals and the name of the algorithm in front are fine."""
    assert parse_checksum("sha256", f" sha256:{SHA256.upper()} ".lower()) == ("sha256", SHA256)


def encoded(digest: bytes) -> bytes:
    """A digest as headers write it."""
    return base64.b64encode(digest)


def test_what_servers_say() -> None:
    """Digests of the whole file count; of a part, or of coded bytes, they do not."""
    sha = encoded(hashlib.sha256(DATA).digest())
    md5 = encoded(hashlib.md5(DATA).digest())
    headers = [
        (b"Repr-Digest", b"sha-256=:" + sha + b":, unixsum=:AAAA:"),
        (b"Content-MD5", md5),
        (b"Digest", b"sha-512=nonsense"),
    ]

    assert set(server_checksums(headers, 200, is_coded=False)) == {("sha256", SHA256), ("md5", MD5)}
    assert server_checksums(headers, 206, is_coded=False) == (("sha256", SHA256),)
    assert server_checksums(headers, 200, is_coded=True) == ()
    assert server_checksums([(b"digest", b"SHA-256=" + sha)], 206, is_coded=False) == (("sha256", SHA256),)
    assert server_checksums([(b"content-digest", b"sha-256=:" + sha + b":")], 206, is_coded=False) == ()


def test_all_at_once() -> None:
    """Every algorithm gives what its library gives, and says which one does not hold."""
    names = ("sha512", "sha1", "md5", "blake2b", "crc32c")
    digests = Digests(names)
    digests.update(DATA[:3])
    digests.update(memoryview(DATA)[3:])
    right = [(name, hashlib.new(name, DATA).hexdigest()) for name in names[:-1]] + [("sha256", SHA256)]

    assert digests.mismatch(right) is None
    assert digests.mismatch([("crc32c", "00000000")]) is not None
    assert "expected 00" in str(digests.mismatch([*right, ("md5", "00")]))


def test_crc32c_is_the_castagnoli_one() -> None:
    """The check value of the algorithm (RFC 3720 §B.4 names the polynomial)."""
    digests = Digests(["crc32c"])
    digests.update(b"123456789")

    assert digests.mismatch([("crc32c", "e3069283")]) is None
