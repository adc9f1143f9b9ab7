"""A data set from Parquet lists: pictures into archives, records into Parquet files, by the command line."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from crawler.testbed.catalog import PRODUCTS

CONFIG = Path(__file__).parents[2] / "configs" / "image-shards.yaml"


def test_pictures_become_shards(crawler: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """The example as it stands: every good picture is in one archive with its caption, and every row in one record."""
    done = crawler("run", str(CONFIG), "--quiet")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "image-shards"

    captions: dict[str, str] = {}
    for archive in sorted((folder / "files").glob("*.tar")):
        with tarfile.open(archive) as tar:
            assert len(tar.getnames()) <= 2 * 25
            for name in tar.getnames():
                file = tar.extractfile(name)
                assert file is not None
                if name.endswith(".json"):
                    captions[name.removesuffix(".json")] = json.loads(file.read())["meta"]["caption"]
                else:
                    assert file.read(4) == b"\x89PNG"
    assert set(captions.values()) < {product.name for product in PRODUCTS.values()}
    assert len(captions) == len(PRODUCTS) - 1

    records = [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert [pq.read_table(path).num_rows for path in sorted(folder.glob("*.parquet"))] == [50, 13]
    assert sorted(row["path"].partition("!")[2] for row in records if row["path"]) == [
        f"{k}.png" for k in sorted(captions)
    ]
    kinds = sorted(row["error.kind"] for row in records if row["outcome"] == "failed")
    assert kinds == ["checksum_mismatch", "content_type", "content_type", "http_4xx"]
