"""Names that servers suggest: the rules of RFC 6266, and nothing that leads anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout import Item, RetryPolicy
from crawler.fanout.disposition import suggested_name
from crawler.fanout.paths import safe_parts
from crawler.testbed.raw import RawConnection, RawServer
from tests.peers.downloads import download, files, head, plan_of


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("attachment; filename=a.txt", "a.txt"),
        ('attachment; filename="a b.txt"', "a b.txt"),
        ('inline;FileName = "a\\"b;c.txt" ; x=y', 'a"b;c.txt'),
        ("attachment; filename*=UTF-8''%e2%82%ac.txt; filename=euro.txt", "€.txt"),
        ("attachment; filename=\"euro.txt\"; filename*=iso-8859-1'en'%A3.txt", "£.txt"),
        ("attachment; filename*=utf-16''%00a; filename=b.txt", "b.txt"),
        ("attachment; filename*=UTF-8''%ff; filename=b.txt", "b.txt"),
        ("attachment; filename*=nonsense; filename=b.txt", "b.txt"),
        ("attachment; filename=first.txt; filename=second.txt", "first.txt"),
        ('attachment; x="; filename=inside"; filename=outside', "outside"),
        ('attachment; filename="a%20b.txt"', "a%2520b.txt"),
        ('attachment; filename="../../evil"', "evil"),
        ('attachment; filename="C:\\\\windows\\\\evil.exe"', "evil.exe"),
        ("attachment; filename*=UTF-8''%2e%2e%2fevil", "evil"),
        ("attachment; filename*=UTF-8''%252e%252e%252fevil", "%252e%252e%252fevil"),
        ('attachment; filename=".."', None),
        ('attachment; filename="a/"', None),
        ('attachment; filename="', None),
        ("attachment", None),
        ("", None),
    ],
)
def test_names(header: str, name: str | None) -> None:
    """One name without folders, or none."""
    assert suggested_name(header) == name


@given(st.text(), st.sampled_from(['attachment; filename="{}"', "a; filename={}", "a; filename*=UTF-8''{}"]))
def test_nothing_leads_anywhere(text: str, form: str) -> None:
    """Whatever a server says, it is one harmless component of a path."""
    name = suggested_name(form.replace("{}", text))
    if name is not None:
        (part,) = safe_parts(name)
        assert "/" not in part
        assert part not in (".", "..")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('Content-Disposition: attachment; filename="report 1.pdf"', "in/report 1.pdf"),
        (
            "Content-Disposition: attachment; filename=\"../../evil\"; filename*=UTF-8''..%2f..%2f{sha256}%00",
            "in/{sha256}%00",
        ),
        ('Content-Disposition: attachment; filename="CON.txt"', "in/_CON.txt"),
        ("X: y", "in/good.bin"),
    ],
)
async def test_a_file_is_named_as_the_server_says_if_asked_to(tmp_path: Path, line: str, name: str) -> None:
    """`{disposition}` in the path; without a name, that of the URL. It stays in its folder, and braces are braces."""

    def serve(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(head("200 OK", 1, line) + b"x")

    with RawServer(serve) as server:
        plan = plan_of(tmp_path, has_late_names=True, retry=RetryPolicy(attempts=1))
        _, (record,) = await download(plan, Item(server.url + "/dir/good.bin?q=1", path="in/{disposition}"))

    assert record["outcome"] == "ok", record
    assert (record["path"], files(tmp_path)) == (name, {name: 1})
