"""`crawler request URL`: one request, with the options of HTTPX's own command."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, ClassVar

import typer

from crawler.cli.exits import CommandError, Exit
from crawler.cli.pairs import PairsCommand, split_pairs
from crawler.cli.text import one_line, printable

if TYPE_CHECKING:
    from crawler import Request, Response


class RequestCommand(PairsCommand):
    """The request command's options with a name and a value."""

    pair_options: ClassVar[frozenset[str]] = frozenset(
        {"-p", "--params", "-d", "--data", "-f", "--files", "-h", "--headers", "--cookies"}
    )


def request(
    url: Annotated[str, typer.Argument(metavar="URL", help="What to request.", show_default=False)],
    method: Annotated[
        str, typer.Option("-m", "--method", metavar="METHOD", help="GET, or POST with a body.", show_default=False)
    ] = "",
    params: Annotated[
        list[str] | None, typer.Option("-p", "--params", metavar="NAME VALUE", help="Query parameter; repeatable.")
    ] = None,
    content: Annotated[str | None, typer.Option("-c", "--content", metavar="TEXT", help="Body, as it is.")] = None,
    data: Annotated[
        list[str] | None, typer.Option("-d", "--data", metavar="NAME VALUE", help="Form field; repeatable.")
    ] = None,
    files: Annotated[
        list[str] | None, typer.Option("-f", "--files", metavar="NAME FILE", help="File of a form; repeatable.")
    ] = None,
    json: Annotated[str | None, typer.Option("-j", "--json", metavar="TEXT", help="JSON body.")] = None,
    headers: Annotated[
        list[str] | None, typer.Option("-h", "--headers", metavar="NAME VALUE", help="Header; repeatable.")
    ] = None,
    cookies: Annotated[
        list[str] | None, typer.Option("--cookies", metavar="NAME VALUE", help="Cookie; repeatable.")
    ] = None,
    auth: Annotated[
        tuple[str, str] | None,
        typer.Option("--auth", metavar="USER PASS", help="Basic authentication; PASS '-' asks for it."),
    ] = None,
    proxy: Annotated[str | None, typer.Option("--proxy", metavar="URL", help="http, https or socks5 proxy.")] = None,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="For each step of the I/O.")] = 5.0,
    follow_redirects: Annotated[bool, typer.Option("--follow-redirects", help="Follow redirects.")] = False,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Check the server's certificate.")] = True,
    http2: Annotated[bool, typer.Option("--http2", help="Offer HTTP/2 over TLS.")] = False,
    download: Annotated[
        Path | None, typer.Option("--download", metavar="FILE", help="Save the body instead of showing it.")
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show the request too, secrets included.")] = False,
) -> None:
    """Send one request and show what comes back.

    Exit code 0 on success (2xx), 1 on any other status, as with HTTPX's own command, or if no response came.
    """
    from crawler import URL, Client, Cookies, HTTPError, InvalidURL

    _refuse_without_scheme(url)
    if auth is not None and auth[1] == "-":
        auth = (auth[0], typer.prompt("Password", hide_input=True, err=True))
    has_body = content is not None or json is not None or bool(data) or bool(files)
    try:
        with contextlib.ExitStack() as opened:
            jar = Cookies()
            for name, value in split_pairs(cookies):
                jar.set(name, value, domain=URL(url).host)  # not to another host after a redirect
            client = opened.enter_context(Client(cookies=jar, proxy=proxy, timeout=timeout, verify=verify, http2=http2))
            response = opened.enter_context(
                client.stream(
                    method or ("POST" if has_body else "GET"),
                    url,
                    params=split_pairs(params) or None,
                    content=content,
                    data=_multi_dict(split_pairs(data)),
                    files=_open_files(split_pairs(files), opened),
                    json=_parse_json(json),
                    headers=split_pairs(headers),
                    auth=auth,
                    follow_redirects=follow_redirects,
                )
            )
            _show(response, download, verbose)
    except (HTTPError, InvalidURL) as error:
        raise CommandError(f"{type(error).__name__}: {one_line(str(error), 500)}", Exit.FAILURES) from error
    if not response.is_success:
        raise typer.Exit(Exit.FAILURES)


def _refuse_without_scheme(url: str) -> None:
    if "://" not in url:
        raise CommandError(f"'{one_line(url)}' has no scheme; type it as https://{one_line(url)}", Exit.CONFIG)


def _parse_json(text: str | None) -> Any:
    if text is None:
        return None
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(f"--json is no JSON: {error}. In a shell, quote it: -j '{{\"name\": 1}}'") from error


def _multi_dict(pairs: list[tuple[str, str]]) -> dict[str, list[str]] | None:
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields or None


def _open_files(pairs: list[tuple[str, str]], opened: contextlib.ExitStack) -> list[tuple[str, BinaryIO]] | None:
    try:
        return [(name, opened.enter_context(Path(path).open("rb"))) for name, path in pairs] or None
    except OSError as error:
        raise CommandError(f"--files: {error.filename}: {error.strerror}") from error


def _show(response: Response, download: Path | None, verbose: bool) -> None:
    if verbose:
        for earlier in response.history:
            _show_request_head(earlier.request, earlier.http_version)
            _show_response_head(earlier)
        _show_request_head(response.request, response.http_version)
    elif response.history:
        for earlier in response.history:
            _show_response_head(earlier)
    _show_response_head(response)
    if download is not None:
        _save(response, download)
    else:
        _show_body(response)


def _show_request_head(request: Request, http_version: str) -> None:
    target = request.url.raw_path.decode("ascii")
    lines = [f"{request.method} {target} {http_version}"]
    lines += [f"{_latin(name)}: {_latin(value)}" for name, value in request.headers.raw]
    _write_head(lines, prefix="> ")


def _show_response_head(response: Response) -> None:
    status = f"{response.http_version} {response.status_code} {response.reason_phrase}".rstrip()
    lines = [status, *(f"{_latin(name)}: {_latin(value)}" for name, value in response.headers.raw)]
    _write_head(lines)


def _latin(value: bytes) -> str:
    return value.decode("latin-1")


def _write_head(lines: list[str], prefix: str = "") -> None:
    bold, plain = ("\x1b[1m", "\x1b[0m") if _has_colour() else ("", "")
    first, *rest = (prefix + printable(line).replace("\n", "\\n") for line in lines)
    sys.stdout.write(f"{bold}{first}{plain}\n" + "".join(f"{line}\n" for line in rest) + (prefix.rstrip() + "\n"))


def _has_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _show_body(response: Response) -> None:
    """Show text as it comes, JSON coloured on a terminal, and of binary data only how much it is."""
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _is_text(content_type):
        size = sum(len(chunk) for chunk in response.iter_bytes())
        if size:
            sys.stdout.write(f"<{size} bytes of binary data; --download FILE saves them>\n")
    elif _has_colour() and content_type.endswith("json"):
        response.read()
        _show_coloured_json(response.text)
    else:
        last = ""
        for text in response.iter_text():
            last = printable(text) if sys.stdout.isatty() else text
            sys.stdout.write(last)
            sys.stdout.flush()  # so that a slow stream is seen as it comes
        if last and not last.endswith("\n"):
            sys.stdout.write("\n")


def _is_text(content_type: str) -> bool:
    if content_type.startswith("text/") or not content_type:
        return True
    return content_type.endswith(("json", "xml", "javascript", "x-www-form-urlencoded", "yaml", "x-ndjson"))


def _show_coloured_json(text: str) -> None:
    import json

    from rich.console import Console
    from rich.syntax import Syntax

    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), indent=4, ensure_ascii=False)
    Console(soft_wrap=True).print(Syntax(printable(text), "json", theme="ansi_dark", background_color="default"))


def _save(response: Response, path: Path) -> None:
    """Stream the body to `path`: to a file beside it first, so that a broken transfer leaves no half file."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    part = path.with_name(path.name + ".part")
    length = response.headers.get("content-length", "")
    total = int(length) if length.isdigit() and "content-encoding" not in response.headers else None
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with part.open("wb") as file, Progress(*columns, console=_stderr_console(), transient=False) as progress:
            task = progress.add_task(f"Downloading {one_line(path.name, 40)}".replace("[", r"\["), total=total)
            for chunk in response.iter_bytes():
                file.write(chunk)
                progress.advance(task, len(chunk))
        part.replace(path)
    except OSError as error:
        raise CommandError(f"--download: {error.filename or path}: {error.strerror}", Exit.DISK) from error
    finally:
        part.unlink(missing_ok=True)


def _stderr_console() -> Any:
    from rich.console import Console

    return Console(stderr=True)
