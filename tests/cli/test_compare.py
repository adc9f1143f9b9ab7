"""`crawler compare` on results made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from crawler.bench import BenchResult, Target
from crawler.bench.reports import bench_json
from crawler.cli.main import app
from tests.bench.examples import arm, result


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, found: BenchResult) -> str:
    Path(name).write_text(bench_json(found), encoding="utf-8")
    return name


def compare(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["compare", *arguments])


FAST, SLOW = result(arm("a", 100, 0.05)), result(arm("a", 50, 0.10))


def test_a_regression_is_exit_code_5() -> None:
    """The table says what is slower, before and after; the other way round it is no failure."""
    files = write("a.json", FAST), write("b.json", SLOW)
    found = compare(*files)
    assert found.exit_code == 5
    assert found.stdout.startswith("b.json against a.json\n")
    assert "a    rate" in found.stdout
    assert "  slower\n" in found.stdout
    back = compare(*reversed(files))
    assert back.exit_code == 0
    assert "slower" not in back.stdout


def test_the_same_is_exit_code_0() -> None:
    """A result against itself."""
    file = write("a.json", FAST)
    found = compare(file, file, file)
    assert found.exit_code == 0
    assert found.stdout.count("no difference") == 8


def test_json_for_programs() -> None:
    """One value with every change and the file it is of."""
    found = compare(write("a.json", FAST), write("b.json", SLOW), "--json")
    document = json.loads(found.stdout)
    assert (document["schema"], document["base"], document["obstacles"]) == ("crawler.compare/1", "a.json", [])
    assert {(row["result"], row["arm"]) for row in document["changes"]} == {("b.json", "a")}


def test_other_targets_need_force() -> None:
    """What is not comparable is refused, with the reason; forced, the reason stays in sight."""
    other = result(arm("a", 100, 0.05), target=Target(("http://elsewhere.example/",)))
    files = write("a.json", FAST), write("b.json", other)
    found = compare(*files)
    assert found.exit_code == 2
    assert "different targets" in found.stderr
    assert "--force" in found.stderr
    forced = compare(*files, "--force")
    assert forced.exit_code == 0
    assert "note: a.json and b.json: different targets" in forced.stdout


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "null", '{"schema": "crawler.bench/1"}', '{"schema": "crawler.bench/2"}']
)
def test_what_is_no_result(content: str) -> None:
    """Any other file is told as what it is: no traceback."""
    Path("b.json").write_text(content)
    found = compare(write("a.json", FAST), "b.json")
    assert found.exit_code == 2
    assert "b.json: no result of a benchmark" in found.stderr
    assert compare("a.json", "missing.json").exit_code == 2
    assert compare("a.json").exit_code == 2
