"""`crawler serve`: schedules, HTTP API, dashboard and metrics, until a signal ends it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from crawler.cli.exits import CommandError, Exit

_NEEDED: Final = ("uvicorn", "cronsim", "prometheus_client", "jinja2")
LEAST_TOKEN: Final = 16


def serve(
    jobs: Annotated[Path, typer.Option("--jobs", metavar="DIR", help="Folder of job files; it is watched.")],
    state: Annotated[
        Path, typer.Option("--state", metavar="DIR", help="Folder of everything the service keeps.")
    ] = Path("state"),
    host: Annotated[str, typer.Option(help="Address to listen on; any other than loopback needs CRAWLER_TOKEN.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8007,
    max_runs: Annotated[int, typer.Option("--max-runs", min=1, max=1000, help="Runs at once.")] = 8,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", metavar="NAME", help="A name of this server; repeatable.")
    ] = None,
    allow_network: Annotated[
        list[str] | None,
        typer.Option("--allow-network", metavar="CIDR", help="Every run may reach these, too; repeatable."),
    ] = None,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Jobs need no `contact`.")] = False,
) -> None:
    """Run the jobs of a folder by their schedules.

    With an HTTP API, a dashboard and metrics. CRAWLER_TOKEN asks every request for that token, CRAWLER_READ_TOKEN is
    one that may only read, CRAWLER_SMTP_URL is the server for e-mail.

    SIGTERM lets runs end within 8 seconds and keeps the rest for the next start. Exit codes: 0 stopped by a signal, 2
    wrong arguments, 4 the state cannot be written, 6 another service holds it.
    """
    _check_extra()
    from crawler.cli.loop import run_async
    from crawler.fanout.errors import RunError
    from crawler.service.errors import StoreDamaged
    from crawler.service.guard import is_loopback
    from crawler.service.logs import log_to_stderr
    from crawler.service.serve import serve as run_service
    from crawler.service.settings import Settings

    settings = Settings(
        jobs=jobs,
        state=state.absolute(),
        host=host,
        port=port,
        token=_token("CRAWLER_TOKEN"),
        read_token=_token("CRAWLER_READ_TOKEN"),
        hosts=tuple(allow_host or ()),
        allow=tuple(map(_network, allow_network or ())),
        anonymous=anonymous,
        max_runs=max_runs,
        smtp_url=os.environ.get("CRAWLER_SMTP_URL"),
    )
    if not jobs.is_dir():
        raise CommandError(f"{jobs}: there is no such folder; --jobs names the folder of the job files")
    if not is_loopback(host) and settings.token is None:
        raise CommandError(f"{host} can be reached by others: set CRAWLER_TOKEN, or listen on 127.0.0.1")
    if settings.read_token is not None and settings.token is None:
        raise CommandError("CRAWLER_READ_TOKEN without CRAWLER_TOKEN would leave nobody who may start a run; set both")
    log_to_stderr()
    try:
        run_async(run_service(settings, _announce))
    except RunError as error:
        raise CommandError(str(error), error.exit_code) from error
    except StoreDamaged as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(
            f"cannot serve on {host}:{port} from {state}: {error.strerror or error}", Exit.CONFIG
        ) from error


def _announce(url: str) -> None:
    typer.echo(f"The service listens on {url}; Ctrl-C stops it.")


def _check_extra() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandError(f"`crawler serve` needs {', '.join(missing)}: pip install 'crawler[service]'")


def _token(name: str) -> str | None:
    token = os.environ.get(name)
    if token is None:
        return None
    if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise CommandError(
            f"{name} is {LEAST_TOKEN} printable ASCII characters or more; `openssl rand -hex 32` makes one"
        )
    return token


def _network(text: str) -> str:
    from ipaddress import ip_network

    try:
        return str(ip_network(text))
    except ValueError as error:
        raise CommandError(f"--allow-network {text}: {error}") from error
