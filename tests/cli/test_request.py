"""`crawler request`: one request, with the options of HTTPX's own command."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from crawler.cli.main import app
from crawler.testbed import Testbed


def _request(*args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["request", *args], input=stdin)


def _echoed(result: Result) -> dict[str, object]:
    """The JSON body behind the head."""
    _, _, body = result.stdout.partition("\n\n")
    echoed = json.loads(body)
    assert isinstance(echoed, dict)
    return echoed


def test_it_shows_status_headers_and_body(bed: Testbed) -> None:
    """A plain request is a GET; its answer is shown whole."""
    result = _request(f"{bed.url}/get", "-p", "a", "1", "-p", "a", "2", "-h", "X-One", "yes")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("HTTP/1.1 200")
    assert "\ncontent-type: application/json" in result.stdout.lower()
    assert "a=1&a=2" in str(_echoed(result)["url"])
    assert "yes" in json.dumps(_echoed(result)["headers"])


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (("-c", "plain"), "plain"),
        (("-j", '{"a": [1]}'), '{"a":[1]}'),
        (("-d", "name", "value", "-d", "name", "again"), "name=value&name=again"),
    ],
)
def test_a_body_makes_it_a_post(bed: Testbed, options: tuple[str, ...], sent: str) -> None:
    """With content, JSON or a form the method is POST, and the body arrives."""
    result = _request(f"{bed.url}/anything", *options)

    assert result.exit_code == 0, result.stderr
    echoed = _echoed(result)
    assert echoed["method"] == "POST"
    assert sent in (echoed["data"], json.dumps(echoed["json"], separators=(",", ":"))) or echoed["form"] == {
        "name": ["value", "again"]
    }


def test_files_are_sent_as_a_form(bed: Testbed, tmp_path: Path) -> None:
    """`-f NAME FILE` makes a multipart form; a missing file is told before anything is sent."""
    (tmp_path / "a.txt").write_text("content of a")

    result = _request(f"{bed.url}/post", "-f", "upload", str(tmp_path / "a.txt"))
    assert result.exit_code == 0, result.stderr
    assert "content of a" in json.dumps(_echoed(result))

    result = _request(f"{bed.url}/post", "-f", "upload", str(tmp_path / "none.txt"))
    assert result.exit_code == 2
    assert "none.txt: No such file or directory" in result.stderr


def test_an_error_status_is_exit_code_1(bed: Testbed) -> None:
    """The answer is shown all the same."""
    result = _request(f"{bed.url}/status/404")

    assert result.exit_code == 1
    assert result.stdout.startswith("HTTP/1.1 404")
    assert result.stderr == ""


def test_redirects_are_followed_if_asked(bed: Testbed) -> None:
    """Without the option the redirect itself is the answer; with it each hop's head is shown."""
    unfollowed = _request(f"{bed.url}/redirect/1")
    assert unfollowed.stdout.startswith("HTTP/1.1 302")
    assert unfollowed.exit_code == 1

    result = _request(f"{bed.url}/redirect/1", "--follow-redirects")
    assert result.exit_code == 0
    assert "HTTP/1.1 302" in result.stdout
    assert "HTTP/1.1 200" in result.stdout


def test_verbose_shows_the_request(bed: Testbed) -> None:
    """`-v` shows what was sent, marked with `>`."""
    result = _request(f"{bed.url}/get", "-v", "--auth", "user", "pass", "--cookies", "a", "b")

    assert "> GET /get HTTP/1.1\n" in result.stdout
    assert "> Authorization: Basic dXNlcjpwYXNz\n" in result.stdout
    assert "> Cookie: a=b\n" in result.stdout


def test_the_password_can_be_asked_for(bed: Testbed) -> None:
    """`--auth USER -` asks, so that the password stands in no shell history."""
    result = _request(f"{bed.url}/get", "-v", "--auth", "user", "-", stdin="pass\n")

    assert "> Authorization: Basic dXNlcjpwYXNz\n" in result.stdout


def test_download_saves_the_body(bed: Testbed, tmp_path: Path) -> None:
    """The body goes to the file whole, and nothing else is left beside it."""
    result = _request(f"{bed.url}/bytes/100000?seed=1", "--download", str(tmp_path / "file.bin"))

    assert result.exit_code == 0, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]
    assert (tmp_path / "file.bin").stat().st_size == 100_000


def test_binary_bodies_are_not_shown(bed: Testbed) -> None:
    """Bytes that are no text do not reach the terminal; their number does."""
    result = _request(f"{bed.url}/bytes/1000")

    assert "<1000 bytes of binary data; --download FILE saves them>" in result.stdout


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("example.com/a",), 2, "'example.com/a' has no scheme; type it as https://example.com/a"),
        (("http://127.0.0.1:1/",), 1, "ConnectError"),
        (("ftp://127.0.0.1/",), 1, "UnsupportedProtocol"),
        (("http://[::1",), 1, "InvalidURL"),
        (("http://127.0.0.1:1/", "-j", "{broken"), 2, "--json is no JSON"),
    ],
)
def test_bad_input_is_one_message(args: tuple[str, ...], code: int, message: str) -> None:
    """What was wrong and what to type instead; never a traceback."""
    result = _request(*args)

    assert result.exit_code == code
    assert message in result.stderr
    assert result.stderr.startswith("crawler: ")
    assert "Traceback" not in result.stderr


def test_a_closed_pipe_is_no_error(bed: Testbed, start_crawler: Callable[..., subprocess.Popen[str]]) -> None:
    """`crawler request … | head -1` ends quietly."""
    read_end, write_end = os.pipe()
    process = start_crawler("request", f"{bed.url}/stream/2000", stdout=write_end)
    os.close(write_end)
    os.read(read_end, 10)
    os.close(read_end)
    _, stderr = process.communicate(timeout=30)

    assert stderr == ""
    assert process.returncode == 0


def test_http2_is_spoken_if_offered() -> None:
    """With `--http2` and TLS both heads name the version; the testbed's certificate is its own."""
    with Testbed(tls=True) as bed:
        result = _request(f"{bed.tls_url}/get", "--http2", "--no-verify", "-v")
        refused = _request(f"{bed.tls_url}/get")

    assert result.exit_code == 0, result.stderr
    assert "> GET /get HTTP/2\n" in result.stdout
    assert "\nHTTP/2 200" in result.stdout
    assert refused.exit_code == 1
    assert "certificate" in refused.stderr
