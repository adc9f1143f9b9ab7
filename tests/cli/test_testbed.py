"""`crawler testbed`: the embedded server by itself."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_stops(
    start_crawler: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    """The address is told as soon as it answers; a signal ends it quietly."""
    process = start_crawler("testbed", "--port", "0")
    assert process.stdout is not None
    address = re.search(r"http://127\.0\.0\.1:\d+/get", process.stdout.readline())
    assert address is not None

    with urllib.request.urlopen(address[0], timeout=10) as response:
        assert response.status == 200

    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (0, "")


def test_a_taken_port_is_told(crawler: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """The message names address and port and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = crawler("testbed", "--port", str(port))

    assert result.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in result.stderr
    assert len(result.stderr.splitlines()) == 1
