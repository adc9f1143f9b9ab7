"""Where the program meets the shell: every failure becomes one message on stderr and an exit code."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from crawler.cli.exits import CommandError, Exit, complain, report_bug, silence_stdout


class Boundary(TyperGroup):
    """The group of all commands; no exception but typer's own leaves it.

    A reader of stdout that went away (`crawler schema | head`) has had what it wanted: that is no failure.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command and translate how it failed."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            silence_stdout()
            raise typer.Exit(Exit.OK) from None
        except CommandError as error:
            complain(str(error))
            raise typer.Exit(error.code) from None
        except (typer.Exit, typer.Abort, KeyboardInterrupt):
            raise
        except Exception as error:
            if type(error).__module__.startswith(("typer.", "click.")):
                raise  # a wrong argument; typer prints the usage
            report_bug(error)
            raise typer.Exit(Exit.INTERNAL) from None
        return result
