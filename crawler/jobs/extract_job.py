"""From `extract` to the rules of the spider, and what is wrong with them, at its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from crawler.jobs.extract_schema import ExtractField, ExtractRule
from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Map, dotted, locate
from crawler.jobs.schema import JobFile
from crawler.spider.errors import BadExpression
from crawler.spider.extraction import Extractor, each_selector
from crawler.spider.patterns import url_pattern
from crawler.spider.rules import SOURCES, FieldSpec, RuleSpec
from crawler.spider.selectors import SELECTOR_KINDS, compile_selector

KINDS: Final = ("fetch", "crawl")
"""Kinds of jobs that extract."""

Path = tuple[str | int, ...]


def rule_specs(rules: Sequence[ExtractRule]) -> tuple[RuleSpec, ...]:
    """Say the same in the spider's words."""
    return tuple(
        RuleSpec(
            fields=_specs(rule.fields),
            match=rule.match,
            parser=rule.parser,
            each=rule.each,
            also=rule.also,
            python=rule.python,
        )
        for rule in rules
    )


def _specs(fields: Mapping[str, ExtractField]) -> tuple[FieldSpec, ...]:
    return tuple(
        FieldSpec(
            name=name,
            source=_sources(field)[0],
            expression=getattr(field, _sources(field)[0]),
            type=field.type,
            all=field.all,
            default=field.default,
            required=field.required,
            strip=field.strip,
            fields=_specs(field.fields),
        )
        for name, field in fields.items()
    )


def _sources(field: ExtractField) -> list[str]:
    return [source for source in SOURCES if source in field.model_fields_set]


def extractor_of(model: JobFile) -> Extractor | None:
    """Compile the rules of a checked job; `None` if it has none."""
    return Extractor(rule_specs(model.extract)) if model.extract else None


def extract_rules(tree: Map, model: JobFile) -> Iterator[Finding]:
    """What is wrong with `extract`, each at its line."""
    if not model.extract:
        return
    if model.kind not in KINDS:
        yield _finding(tree, ("extract",), f"has no effect with `kind: {model.kind}`")
        return
    whole: Path = ("extract",)
    is_list = len(model.extract) > 1 or not isinstance(tree.get("extract"), Map)
    before = 0
    for index, rule in enumerate(model.extract):
        path = (*whole, index) if is_list else whole
        found = list(_rule(tree, rule, path))
        yield from found
        before += len(found)
    if not before:
        try:
            extractor_of(model)
        except BadExpression as error:  # what no part says alone: css under `parser: json`, a template's names
            yield _finding(tree, whole, str(error))


def _rule(tree: Map, rule: ExtractRule, path: Path) -> Iterator[Finding]:
    if rule.python is None and not rule.fields:
        yield _finding(tree, path, "needs `fields`, or `python`")
        return
    if rule.match is not None:
        yield from _compiled(tree, (*path, "match"), lambda: url_pattern(rule.match or ""))
    fields = list(_fields(tree, rule.fields, (*path, "fields")))
    yield from fields
    if rule.each is not None and not fields:
        spec = rule_specs([rule])[0]
        yield from _compiled(tree, (*path, "each"), lambda: each_selector(spec))


def _fields(tree: Map, fields: Mapping[str, ExtractField], path: Path) -> Iterator[Finding]:
    for name, field in fields.items():
        here = (*path, name)
        sources = _sources(field)
        if len(sources) != 1:
            words = ", ".join(SOURCES)
            yield _finding(tree, here, f"needs exactly one of {words}" + (f", not {len(sources)}" if sources else ""))
            continue
        source = sources[0]
        if source in SELECTOR_KINDS:
            expression = getattr(field, source)
            yield from _compiled(tree, (*here, source), lambda s=source, e=expression: compile_selector(s, e or ""))
        if field.required and field.default is not None:
            yield _finding(tree, (*here, "required"), "has no effect beside a `default`")
        yield from _fields(tree, field.fields, (*here, "fields"))


def _compiled(tree: Map, path: Path, compile_it: object) -> Iterator[Finding]:
    assert callable(compile_it)
    try:
        compile_it()
    except BadExpression as error:
        yield _finding(tree, path, str(error))


def _finding(tree: Map, path: Path, message: str) -> Finding:
    return Finding(locate(tree, path), f"{dotted(path)}: {message}")
