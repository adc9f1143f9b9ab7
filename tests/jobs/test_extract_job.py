"""`extract`: what each key comes to, and what is wrong with it at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.jobs import Job, JobError, load_job
from crawler.jobs.extract_job import extractor_of, rule_specs
from crawler.spider.document import Document
from crawler.spider.rules import FieldSpec, RuleSpec

HEAD = "urls: [https://h.example/]\nextract:\n"


def job(folder: Path, text: str) -> Job:
    """A job of a text."""
    path = folder / "job.yaml"
    path.write_text(HEAD + text)
    return load_job(path)


def test_rules_of_a_job(tmp_path: Path) -> None:
    """Every key arrives; one rule may stand without a list."""
    made = job(
        tmp_path,
        """
  match: "/p/*"
  parser: html
  each: li
  also: true
  fields:
    price: {css: i, type: decimal, all: true, default: 0, strip: false}
    more: {xpath: .//b, fields: {x: {const: null, type: int}}}
""",
    )

    assert rule_specs(made._model.extract) == (
        RuleSpec(
            match="/p/*",
            parser="html",
            each="li",
            also=True,
            fields=(
                FieldSpec("price", "css", "i", type="decimal", all=True, default=0, strip=False),
                FieldSpec("more", "xpath", ".//b", fields=(FieldSpec("x", "const", None, type="int"),)),
            ),
        ),
    )
    assert made.plan().body.hold is not None
    assert made.staff(made.plan()).processor is not None


def test_a_list_of_rules(tmp_path: Path) -> None:
    """The first rule that matches counts."""
    made = job(tmp_path, "  - {match: /a, fields: {x: {const: a}}}\n  - {fields: {x: {const: b}}}\n")
    extractor = extractor_of(made._model)

    assert extractor is not None
    assert [extractor.extract(Document(f"http://h/{path}", b"")).rows for path in "ab"] == [[{"x": "a"}], [{"x": "b"}]]


BAD = [
    ("  fields: {x: {css: 'a[['}}", "3:21: extract.fields.x.css: 'a[[' is no CSS selector that can be used"),
    ("  fields: {x: {xpath: '//['}}", "3:23: extract.fields.x.xpath: '//[' is no XPath"),
    ("  fields:\n    x: {jmespath: 'a['}", "4:19: extract.fields.x.jmespath: 'a[' is no JMESPath"),
    ("  fields: {x: {regex: '('}}", "3:23: extract.fields.x.regex: '(' is no regular expression"),
    ("  fields: {x: {css: a, fields: {y: {css: 'b[['}}}}", "3:42: extract.fields.x.fields.y.css: 'b[[' is no CSS"),
    ("  fields: {x: {css: a, xpath: //b}}", "3:15: extract.fields.x: needs exactly one of css, xpath"),
    ("  fields: {x: {type: int}}", "3:15: extract.fields.x: needs exactly one of css, xpath"),
    ("  fields: {x: {css: a, type: number}}", "3:30: extract[0].fields.x.type: expected str or int"),
    ("  fields: {x: {css: a, required: true, default: 1}}", "3:34: extract.fields.x.required: has no effect beside"),
    ("  each: 'a[['\n  fields: {x: {css: a}}", "3:9: extract.each: 'a[[' is no CSS selector"),
    ("  match: 're:('\n  fields: {x: {css: a}}", "3:10: extract.match: '(' is no regular expression"),
    ("  parser: xml\n  fields: {x: {css: a}}", "3:3: extract: field 'x': css is for HTML"),
    ("  fields: {x: {template: '{y}'}}", "3:3: extract: field 'x': 'y' is no field before this one"),
    ("  match: /p/*", "3:3: extract: needs `fields`, or `python`"),
    ("  - fields: {x: {css: a}}\n  - fields: {x: {css: '[['}}", "4:23: extract[1].fields.x.css: '[[' is no CSS"),
    ("  python: no_such_module:f", "3:3: extract: cannot import 'no_such_module:f'"),
]


@pytest.mark.parametrize(("text", "problem"), BAD, ids=[text for text, _ in BAD])
def test_what_is_wrong_is_told_at_its_place(tmp_path: Path, text: str, problem: str) -> None:
    """Expressions are compiled when the job is checked."""
    with pytest.raises(JobError) as caught:
        job(tmp_path, text)

    found = [line.partition("job.yaml:")[2] for line in str(caught.value).splitlines()]
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_downloads_extract_nothing(tmp_path: Path) -> None:
    """A download keeps bodies as they are."""
    with pytest.raises(JobError, match="has no effect with `kind: download`"):
        job(tmp_path, "  fields: {x: {css: a}}\nkind: download\n")
