"""`crawler testbed`: the embedded server by itself, to try jobs and programs against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crawler.cli.exits import CommandError

if TYPE_CHECKING:
    from crawler.testbed import Addresses


def serve_testbed(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port for HTTP; 0 takes a free one.")] = 8008,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    tls_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Also serve HTTPS (HTTP/1.1 and HTTP/2) here.", show_default=False),
    ] = None,
) -> None:
    """Run the embedded test server until Ctrl-C."""
    from crawler.testbed import ListenError, run

    try:
        run(host=host, port=port, tls_port=tls_port, on_ready=_announce)
    except ListenError as error:
        raise CommandError(error.strerror or str(error)) from error


def _announce(addresses: Addresses) -> None:
    typer.echo(f"The testbed listens on {addresses.url} (for example {addresses.url}/get); Ctrl-C stops it.")
    if addresses.tls_url is not None:
        typer.echo(f"HTTPS: {addresses.tls_url}, with a certificate made for this run; use --no-verify to reach it.")
