"""Lists on servers, feeds and sitemaps among them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from crawler.jobs import JobError, load_job
from crawler.jobs.lines import InputError
from crawler.jobs.remote import RemoteLists, copy_name


class Shelf:
    """A server of lists.

    Attributes:
        lists: Path -> content.
        asked: The paths that were asked for, and by whom.
        url: Where it is.
    """

    def __init__(self) -> None:
        self.lists: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.url = ""


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """A server of lists, empty."""
    shelf = Shelf()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shelf.asked.append((self.path, self.headers["User-Agent"]))
            body = shelf.lists.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shelf.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield shelf
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def urls(folder: Path, text: str) -> list[str]:
    """The URLs of a job's items, as a run sees them."""
    (folder / "job.yaml").write_text(text)
    job = load_job("job.yaml")
    return [item.url for item in job.items(plan=job.plan(out="out"))]


def test_a_list_is_fetched_once(folder: Path, shelf: Shelf) -> None:
    """What a run began with is what it goes on with, whatever the server has by now."""
    shelf.lists["/l.csv.gz"] = gzip.compress(b"url,n\nhttp://a/,1\nhttp://b/,2\n")
    text = f"contact: me@example.org\ninput: {{path: '{shelf.url}/l.csv.gz?v=1'}}\n"
    shelf.lists["/l.csv.gz?v=1"] = shelf.lists["/l.csv.gz"]

    assert urls(folder, text) == ["http://a/", "http://b/"]
    shelf.lists.clear()
    assert urls(folder, text) == ["http://a/", "http://b/"]
    assert len(shelf.asked) == 1
    assert shelf.asked[0][1].endswith("(+me@example.org)")


def test_a_sitemap_and_those_it_names(folder: Path, shelf: Shelf) -> None:
    """An index leads to its sitemaps; one that is not there is a bad row, and the others go on."""
    head = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    index = "".join(f"<sitemap><loc>{shelf.url}/{name}.xml</loc></sitemap>" for name in ("a", "gone", "b"))
    shelf.lists["/sitemap.xml"] = f"<sitemapindex>{index}</sitemapindex>".encode()
    for name in "ab":
        page = f"<url><loc>http://{name}/</loc><lastmod>2024-01-02</lastmod></url>"
        shelf.lists[f"/{name}.xml"] = f"{head}{page}</urlset>".encode()
    found = urls(folder, f"input: {{path: '{shelf.url}/sitemap.xml', key: '{{url}}'}}\n")

    assert [url for url in found if not url.startswith("bad row")] == ["http://a/", "http://b/"]
    assert "the server answered with 404" in next(url for url in found if url.startswith("bad row"))


def test_a_feed_on_a_server(folder: Path, shelf: Shelf) -> None:
    """Its relative links count from its own address."""
    shelf.lists["/f"] = b"<rss><item><link>/1</link></item></rss>"
    assert urls(folder, f"input: {{path: '{shelf.url}/f', format: feed}}\n") == [f"{shelf.url}/1"]


def test_a_list_that_cannot_be_had(folder: Path, shelf: Shelf) -> None:
    """The run does not begin, and nothing is left that looks like a list."""
    with pytest.raises(JobError, match="gone: the server answered with 404"):
        urls(folder, f"input: {{path: '{shelf.url}/gone'}}\n")
    assert not list((folder / "out").rglob("*.*"))


def test_the_guard_counts_for_lists_too(tmp_path: Path, shelf: Shelf) -> None:
    """A list from an address that may not be asked is not fetched."""
    remote = RemoteLists(tmp_path, guard=lambda address: False)
    with pytest.raises(InputError, match="not permitted"), remote.local(f"{shelf.url}/l"):
        pass
    assert shelf.asked == []


def test_a_copy_without_a_folder_lasts_as_long_as_it_is_read(shelf: Shelf) -> None:
    """As for a dry run."""
    shelf.lists["/l"] = b"http://a/\n"
    with RemoteLists().local(f"{shelf.url}/l") as path:
        assert path.read_bytes() == b"http://a/\n"
    assert not path.exists()


def test_names_of_copies() -> None:
    """The whole address counts, and the suffixes stay."""
    assert copy_name("http://h/l.csv.gz?a=1").endswith(".csv.gz")
    assert copy_name("http://h/l.csv.gz?a=1") != copy_name("http://h/l.csv.gz?a=2")
    assert "." not in copy_name("http://h/list")
    assert copy_name("http://h/v1.2.x/l.tsv").endswith(".tsv")


def test_sample_shuffle_limit(folder: Path) -> None:
    """`offset`, then `sample`, then `limit`, then `shuffle`; the seed draws the same again."""
    (folder / "l.txt").write_text("".join(f"http://h/{n}\n" for n in range(1000)))
    text = "input: {path: l.txt, offset: 100, sample: 50%, limit: 200, shuffle: 40, seed: 7}\n"
    found = [int(url.rpartition("/")[2]) for url in urls(folder, text)]

    assert len(found) == len(set(found)) == 200
    assert min(found) >= 100
    assert max(found) < 600
    assert found != sorted(found)
    assert [int(url.rpartition("/")[2]) for url in urls(folder, text)] == found


@pytest.mark.parametrize(
    ("keys", "finding"),
    [
        ("seed: 3", "input.seed: has no effect without `sample` or `shuffle`"),
        ("shuffle: 1", "input.shuffle: expected true, false or a number of rows from 2 on, not 1"),
        ("sample: 3", "input.sample: 3 is outside 0 to 1"),
    ],
)
def test_findings(folder: Path, keys: str, finding: str) -> None:
    """Mistakes are found at the start."""
    (folder / "l.txt").write_text("http://h/\n")
    with pytest.raises(JobError) as caught:
        urls(folder, f"input: {{path: l.txt, {keys}}}\n")
    assert finding in str(caught.value)
