"""Check what the README's quick start left behind: run after it, in the same folder.

Every record is one whole JSON object, no URL has two, the summary counts what the records say, and the large body is
there.
"""

from __future__ import annotations

import collections
import hashlib
import json
import pathlib
import sys

OUT = pathlib.Path("out/quickstart")


def main() -> None:
    """Check the records, the summary and the files; leaves with a message if something is missing."""
    records = [json.loads(line) for line in (OUT / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    summary = json.loads((OUT / "summary.json").read_text(encoding="utf-8"))
    outcomes = collections.Counter(record["outcome"] for record in records)
    counted = {outcome: n for outcome, n in summary["counts"].items() if n}

    expect((OUT / "report.html").stat().st_size > 10_000, "there is no report")
    expect((summary["state"], summary["exit_code"]) == ("finished", 0), "the run did not end well")
    expect(len(records) >= 200, f"only {len(records)} records")
    expect(len({record["id"] for record in records}) == len(records), "a URL has two records")
    expect(all(record["schema"] == "crawler.result/1" for record in records), "a record has another schema")
    expect(dict(outcomes) == counted, f"the summary says {counted}, the records {dict(outcomes)}")
    expect(any(record["attempts"] > 1 and record["outcome"] == "ok" for record in records), "no retry succeeded")

    stored = [record for record in records if record["path"]]
    expect(any(record["bytes"] >= 20_000_000 for record in stored), "the 20 MB body is not on disk")
    for record in stored:
        found = [path for path in OUT.rglob(pathlib.PurePath(record["path"]).name) if path.is_file()]
        digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
        expect(record["sha256"] in digests, f"the file of {record['url']} is missing or not what was received")
    print(f"quick start: {len(records)} records, {dict(outcomes)}, {len(stored)} bodies on disk")


def expect(holds: bool, complaint: str) -> None:
    """Leave with `complaint` unless `holds`."""
    if not holds:
        sys.exit(f"quick start: {complaint}")


if __name__ == "__main__":
    main()
