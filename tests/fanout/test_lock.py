"""One run per state folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.fanout import OutputError, StateLocked
from crawler.fanout.lock import StateLock


def test_the_second_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    """The message names the process that holds the state; after its release the next may have it."""
    first = StateLock(tmp_path / "lock")

    with pytest.raises(StateLocked, match=rf"process {os.getpid()} on .* since 20"):
        StateLock(tmp_path / "lock")
    first.release()

    StateLock(tmp_path / "lock").release()


def test_it_dies_with_its_holder(tmp_path: Path) -> None:
    """A killed process leaves the file behind, and the lock is free."""
    path = tmp_path / "lock"
    code = (
        "import sys, pathlib, time; from crawler.fanout.lock import StateLock; "
        "lock = StateLock(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StateLocked, match=f"process {holder.pid}"):
            StateLock(path)
        holder.kill()

    StateLock(path).release()


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    """The message says which file and what to do."""
    with pytest.raises(OutputError, match="put the folder back"):
        StateLock(tmp_path / "no" / "lock")
