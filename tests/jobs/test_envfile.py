from __future__ import annotations

from pathlib import Path

from crawler.jobs.envfile import read_env_file
from crawler.jobs.findings import Mark

MARK = Mark("job.yaml", 2, 11)


def test_lines(tmp_path: Path) -> None:
    """Comments, `export`, quotes, spaces and values with an equals sign."""
    path = tmp_path / "env"
    path.write_bytes(b"\xef\xbb\xbf# note\r\n\r\nA=1\nexport B = two words \nC='q #'\nD=\"x=${A}\"\nE=\n")
    values, findings = read_env_file(path, MARK)
    assert findings == []
    assert values == {"A": "1", "B": "two words", "C": "q #", "D": "x=${A}", "E": ""}


def test_bad_lines_have_numbers_and_keep_their_text(tmp_path: Path) -> None:
    """A line may be half a secret: only its number is shown."""
    path = tmp_path / "env"
    path.write_text("A=1\nhunter2\n1B=x\n")
    values, findings = read_env_file(path, MARK)
    assert values == {"A": "1"}
    assert [str(finding) for finding in findings] == [f"{path}:2:1: write KEY=VALUE", f"{path}:3:1: write KEY=VALUE"]


def test_unreadable_files_are_findings_at_the_job(tmp_path: Path) -> None:
    """Missing, not UTF-8, too large."""
    (tmp_path / "latin").write_bytes(b"A=\xfc\n")
    (tmp_path / "large").write_bytes(b"#" * (1024 * 1024 + 1))
    messages = [read_env_file(tmp_path / name, MARK)[1] for name in ("none", "latin", "large")]
    assert [str(*finding) for finding in messages] == [
        "job.yaml:2:11: env_file none: cannot read the file: No such file or directory",
        "job.yaml:2:11: env_file latin: the file is not UTF-8",
        "job.yaml:2:11: env_file large: the file is larger than 1 MiB",
    ]
