"""The command: `python -m benchmarks` runs the table, `python -m benchmarks profile` tells where our time goes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.loads import Load
from benchmarks.machine import choose_cores, describe
from benchmarks.report import Report, text_lines
from benchmarks.rounds import ROOT, Bench
from benchmarks.rows import ROWS, Row
from benchmarks.servers import running_server

KINDS = ("async", "blocking", "gather", "as_completed", "download")


def main(arguments: Sequence[str]) -> int:
    """Run the command.

    The exit status is 0 if all goals are met (with `--quick`: if nothing failed), 1 if not, 2 if it could not run.
    """
    options = parser().parse_args(arguments)
    try:
        return profile(options) if options.command == "profile" else table(options)
    except (RuntimeError, ValueError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure crawler against other clients.")
    made.set_defaults(command="table")
    names = ", ".join(row.name for row in ROWS)
    made.add_argument("--only", metavar="ROW,ROW", help=f"these rows: {names}")
    made.add_argument("--rounds", type=int, default=5, help="how often each client runs (5)")
    made.add_argument("--seconds", type=float, default=2.0, help="how long each run is measured (2)")
    made.add_argument(
        "--quick", action="store_true", help="one round of 0.2 s, only to see that it works: judges nothing"
    )
    made.add_argument(
        "--python", metavar="CLIENT=PATH", action="append", default=[], help="where a client is installed"
    )
    made.add_argument("--out", metavar="DIR", type=Path, default=ROOT / "out" / "benchmarks", help="for JSON and SVG")
    made.add_argument(
        "--from", metavar="FILE", type=Path, dest="source", help="measure nothing, take this earlier JSON"
    )
    made.add_argument("--update-docs", action="store_true", help="write the tables into README.md and docs/")
    commands = made.add_subparsers(title="instead of the table")
    ours = commands.add_parser("profile", help="where the CPU time of a request of ours goes")
    ours.set_defaults(command="profile")
    ours.add_argument("--kind", choices=KINDS, default="async", help="what is called")
    ours.add_argument("--tls", action="store_true", help="over TLS")
    ours.add_argument("--http2", action="store_true", help="HTTP/2, over TLS")
    ours.add_argument("--post", choices=("json", "bytes"), default="", help="POST of 16 KiB instead of GET")
    ours.add_argument("--concurrency", type=int, default=64, help="requests at once (64)")
    ours.add_argument("--codecs", choices=("fast", "reference"), default="fast", help="which codecs")
    ours.add_argument("--seconds", type=float, default=8.0, help="how long (8)")
    ours.add_argument("--rows", type=int, default=25, help="lines of each table (25)")
    return made


def table(options: argparse.Namespace) -> int:
    """Measure the rows, or take what was measured before, and tell."""
    if options.source is not None:
        report = Report.parse(options.source.read_text(encoding="utf-8"))
        print(report.text())
    else:
        report = measure(options)
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "results.json").write_text(report.dump(), encoding="utf-8")
        (options.out / "chart.svg").write_text(report.chart(), encoding="utf-8")
        print(f"All samples: {options.out / 'results.json'}")
    if options.update_docs:
        report.update_docs()
    wrong = [*report.failures(), *([] if options.quick else report.missed())]
    if wrong:
        print("\nNot as it must be:\n" + "\n".join(f"  {text}" for text in wrong))
    return 1 if wrong else 0


def measure(options: argparse.Namespace) -> Report:
    """Run the rows that were asked for; each is printed as soon as it is done."""
    rows = chosen(options.only)
    pythons = dict(pair.split("=", 1) for pair in options.python)
    seconds, rounds = (0.2, 1) if options.quick else (options.seconds, options.rounds)
    cores = choose_cores()
    with running_server(set(cores.server)) as server:
        machine = describe(cores, server.version)
        bench = Bench(server, cores, seconds, rounds, pythons, say)
        outcomes = []
        for row in rows:
            outcomes.append(bench.run(row, at_least=not options.quick))
            say("")
            print("\n".join(text_lines(outcomes[-1])), flush=True)
    return Report(machine, bench.versions, {"seconds": seconds, "rounds": rounds}, outcomes)


def chosen(names: str | None) -> list[Row]:
    """The rows of that name; all, without any.

    Raises:
        ValueError: There is none of a name.
    """
    if names is None:
        return list(ROWS)
    by_name = {row.name: row for row in ROWS}
    wanted = names.split(",")
    if unknown := [name for name in wanted if name not in by_name]:
        raise ValueError(f"no row {', '.join(unknown)}; there are {', '.join(by_name)}")
    return [by_name[name] for name in wanted]


def profile(options: argparse.Namespace) -> int:
    """Profile our client in a process of its own."""
    path = "/1g.bin" if options.kind == "download" else "/post" if options.post else "/1k.bin"
    wanted = Load(
        "crawler",
        options.kind,
        path,
        tls=options.tls or options.http2,
        http2=options.http2,
        concurrency=1 if options.kind in ("blocking", "download") else options.concurrency,
        post=options.post,
        codecs=options.codecs,
    )
    cores = choose_cores()
    with running_server(set(cores.server)) as server:
        bench = Bench(server, cores, options.seconds, 1, {}, say)
        load = server.resolve(wanted, options.seconds)
        before = server.accepted()
        print(bench.start([sys.executable, "-m", "benchmarks.profile", load.dump(), str(options.rows)], load), end="")
        print(f"\nConnections that it opened, in all: {server.accepted() - before - 1:,}")
    return 0


def say(text: str) -> None:
    """Show what goes on, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
