"""`crawler shell PAGE`: try selectors one after the other, until the rule is what the job needs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from crawler.cli.exits import CommandError
from crawler.cli.text import one_line, printable

if TYPE_CHECKING:
    from crawler.cli.trial import Trial
    from crawler.spider.document import Document

HELP: Final = """\
css h1::text               see what a selector finds; also xpath, jmespath, jsonpath, regex, json_ld, meta
css title=h1::text         the same, and keep it as the field `title`
type price=decimal         give a field a type; `type decimal` gives it to all
all images                 have a field give all that is found
drop title                 forget a field
each div.product           what finds the items of the page; `each` alone: the page is one item
items                      the items that the fields make of the page
links                      where its links lead, as a crawl would find them
source                     the page, as it came
go https://example.com/    look at another page
yaml                       the rule as the job file has it
quit                       leave; the rule is printed
"""
_SHOWN: Final = 20


def shell(
    source: Annotated[str, typer.Argument(metavar="PAGE", help="URL or file.", show_default=False)],
) -> None:
    """Try selectors on a page, one after the other; `help` tells how.

    Ends with the lines for the job file.
    """
    from crawler.cli.page import described, page_of
    from crawler.cli.trial import Trial

    if source == "-":
        raise CommandError("the shell reads its commands from stdin; save the page to a file")
    session = _Session(page_of(source), Trial())
    print(described(session.document))
    if sys.stdin.isatty():
        print("`help` tells what can be asked.")
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - makes `input` remember lines
    while (line := _next_line()) is not None:
        if line in ("quit", "exit", "q"):
            break
        try:
            session.do(line)
        except CommandError as error:
            print(f"? {error}")
    if session.trial.fields:
        print(session.trial.yaml())


def _next_line() -> str | None:
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except (EOFError, KeyboardInterrupt):
        print()
        return None


class _Session:
    """One page, one rule."""

    def __init__(self, document: Document, trial: Trial) -> None:
        self.document = document
        self.trial = trial
        self._words: dict[str, Callable[[str], None]] = {
            "help": lambda _: print(HELP, end=""),
            "type": self._type,
            "all": self._all,
            "drop": self._drop,
            "each": self._each,
            "items": self._items,
            "links": self._links,
            "source": lambda _: print(printable(self.document.text)),
            "go": self._go,
            "yaml": lambda _: print(self.trial.yaml()),
        }

    def do(self, line: str) -> None:
        """Do what a line says.

        Raises:
            CommandError: It cannot be done.
        """
        from crawler.spider.selectors import SELECTOR_KINDS

        word, _, rest = line.partition(" ")
        rest = rest.strip()
        if word in SELECTOR_KINDS:
            self._try(word, rest)
        elif word in self._words:
            self._words[word](rest)
        elif word:
            raise CommandError(f"{one_line(word, 40)!r} is no word of the shell; `help` tells them")

    def _try(self, kind: str, expression: str) -> None:
        from crawler.cli.trial import Trial, named

        trial = Trial()
        trial.each = self.trial.each
        trial.add(kind, expression, is_all=True)
        extraction = trial.apply(self.document)
        if extraction.failure is not None:
            raise CommandError(str(extraction.failure))
        values = [value for row in extraction.rows for found in row.values() for value in _as_list(found)]
        for value in values[:_SHOWN]:
            print("  " + one_line(str(value), 500))
        print(f"  {len(values)} found" + (f", the first {_SHOWN} are shown" if len(values) > _SHOWN else ""))
        if named(expression):
            self.trial.add(kind, expression)

    def _type(self, text: str) -> None:
        self.trial.cast(text)
        self._items("")

    def _all(self, name: str) -> None:
        self.trial.spread(name)
        self._items("")

    def _drop(self, name: str) -> None:
        self.trial.drop(name)

    def _each(self, expression: str) -> None:
        before, self.trial.each = self.trial.each, expression or None
        try:
            if self.trial.fields:
                self.trial.apply(self.document)
        except CommandError:
            self.trial.each = before
            raise

    def _items(self, _: str) -> None:
        from crawler.cli.trial import rows_of

        if not self.trial.fields:
            raise CommandError("no field is kept; `css title=h1::text` keeps one")
        extraction = self.trial.apply(self.document)
        if extraction.failure is not None:
            raise CommandError(str(extraction.failure))
        for line in list(rows_of(extraction))[:_SHOWN]:
            print("  " + printable(line))
        print(f"  {len(extraction.rows)} items")
        for name in extraction.errors:
            print(f"  {name}: what was found does not fit its type")

    def _links(self, _: str) -> None:
        from crawler.spider.links import LinkFinder
        from crawler.spider.reading import absolute_links

        links, others = absolute_links(LinkFinder().find(self.document), self.document.base)
        for url, nofollow in list(links.items())[:_SHOWN]:
            print("  " + one_line(url, 500) + (" (nofollow)" if nofollow else ""))
        more = f", {others} that lead to no page" if others else ""
        print(f"  {len(links)} links{more}" + (f", the first {_SHOWN} are shown" if len(links) > _SHOWN else ""))

    def _go(self, source: str) -> None:
        from crawler.cli.page import described, page_of

        self.document = page_of(source)
        print(described(self.document))


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]
