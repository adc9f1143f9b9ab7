from __future__ import annotations

from pathlib import Path

import pytest

from crawler.jobs.findings import Mark
from crawler.jobs.merge import apply_overrides, merge, read_files
from crawler.jobs.nodes import Map, from_plain, locate, plain

MARK = Mark("job.yaml", 1, 1)


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def test_maps_are_merged_and_lists_replaced() -> None:
    """Later values win key by key; a list is one value."""
    base = from_plain({"a": {"b": 1, "c": [1, 2]}, "d": 1}, MARK)
    over = from_plain({"a": {"c": [3]}, "e": 2}, MARK)
    assert plain(merge(base, over)) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": 2}


def test_extends(tmp_path: Path) -> None:
    """Parents are merged left to right below the file, each relative to the one that names it."""
    (tmp_path / "sub").mkdir()
    write(tmp_path, child="extends: [one.yaml, sub/two.yaml]\nname: child\n", one="name: one\nretry: {attempts: 2}\n")
    write(
        tmp_path / "sub", two="extends: three.yaml\nconcurrency: 3\n", three="concurrency: 9\nretry: {max_wait: 1s}\n"
    )
    tree, findings = read_files([tmp_path / "child.yaml"])
    assert findings == []
    assert tree is not None
    assert plain(tree) == {"name": "child", "retry": {"attempts": 2, "max_wait": "1s"}, "concurrency": 3}
    assert locate(tree, ("concurrency",)).source.endswith("two.yaml")


def test_several_files_are_merged(tmp_path: Path) -> None:
    """As with `extends`, the later file wins."""
    write(tmp_path, a="name: a\ntags: [x]\n", b="name: b\n")
    tree, _ = read_files([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert tree is not None
    assert plain(tree) == {"name": "b", "tags": ["x"]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("extends: ../out.yaml", "extends '../out.yaml': lies outside the folder of job.yaml"),
        ("extends: /etc/passwd", "extends '/etc/passwd': lies outside the folder of job.yaml"),
        ("extends: job.yaml", "extends 'job.yaml': the files extend each other in a circle: job.yaml -> job.yaml"),
        (
            "extends: loop.yaml",
            "extends 'job.yaml': the files extend each other in a circle: job.yaml -> loop.yaml -> job.yaml",
        ),
        ("extends: ${X}.yaml", "extends '${X}.yaml': the name is read before variables are filled in; write it out"),
        ("extends: [1]", "extends: expected a file name or a list of them"),
        ("extends: none.yaml", "cannot read the job file: No such file or directory"),
    ],
)
def test_extends_that_are_refused(tmp_path: Path, line: str, message: str) -> None:
    """No file outside the job's folder, no circle, no variable."""
    write(tmp_path, job=f"{line}\n", loop="extends: job.yaml\n")
    _, findings = read_files([tmp_path / "job.yaml"])
    assert [finding.message for finding in findings] == [message]


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A symbolic link does not lead out either."""
    (tmp_path / "in").mkdir()
    write(tmp_path, outside="name: x\n")
    (tmp_path / "in" / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    write(tmp_path / "in", job="extends: link.yaml\n")
    _, (finding,) = read_files([tmp_path / "in" / "job.yaml"])
    assert "lies outside" in finding.message


def test_long_chains_are_refused(tmp_path: Path) -> None:
    """More than five files deep is somebody's mistake."""
    write(tmp_path, **{f"j{n}": f"extends: j{n + 1}.yaml\n" for n in range(9)})
    _, (finding,) = read_files([tmp_path / "j0.yaml"])
    assert finding.message == "extends 'j6.yaml': more than 5 files deep"


def overridden(tree: dict[str, object], *overrides: str) -> object:
    node = from_plain(tree, MARK)
    assert isinstance(node, Map)
    changed, findings = apply_overrides(node, overrides)
    assert findings == []
    return plain(changed)


def test_overrides() -> None:
    """`--set` reaches into maps and lists, makes what is missing, and reads YAML."""
    tree: dict[str, object] = {"retry": {"attempts": 4}, "output": [{"path": "a"}], "timeout": None}
    assert overridden(tree, "retry.attempts=2") == {**tree, "retry": {"attempts": 2}}
    assert overridden(tree, "retry={max_wait: 1s}") == {**tree, "retry": {"attempts": 4, "max_wait": "1s"}}
    assert overridden(tree, "output.0.path=b") == {**tree, "output": [{"path": "b"}]}
    assert overridden(tree, "timeout.read=5s") == {**tree, "timeout": {"read": "5s"}}
    assert overridden(tree, "urls=[http://h/a=b]", "name=x") == {**tree, "urls": ["http://h/a=b"], "name": "x"}
    assert overridden(tree, "timeout.total=null") == {**tree, "timeout": {"total": None}}
    assert overridden(tree, "tls.verify=") == {**tree, "tls": {"verify": None}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("name", "write it as --set key=value, for example --set retry.attempts=2"),
        ("=x", "write it as --set key=value, for example --set retry.attempts=2"),
        ("a..b=1", "write it as --set key=value, for example --set retry.attempts=2"),
        ("name.x=1", "name is a plain value and has no 'x'"),
        ("tags.5=1", "tags is a list of 1; give an index from 0, not '5'"),
        ("tags.x=1", "tags is a list of 1; give an index from 0, not 'x'"),
    ],
)
def test_overrides_that_are_refused(override: str, message: str) -> None:
    """A path that leads nowhere says where it ends; the option itself is the place."""
    node = from_plain({"name": "n", "tags": ["t"]}, MARK)
    assert isinstance(node, Map)
    _, (finding,) = apply_overrides(node, [override])
    assert str(finding) == f"--set {override}: {message}"
