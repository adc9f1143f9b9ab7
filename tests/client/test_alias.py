"""`alias_httpx()`, in processes of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PROGRAMS = {
    "the name means this package": """
        import crawler
        crawler.alias_httpx()
        crawler.alias_httpx()
        import httpx
        from httpx import AsyncClient, HTTPStatusError
        assert httpx is crawler
        assert AsyncClient is crawler.AsyncClient
        assert httpx.get is crawler.get
    """,
    "inner modules are refused": """
        import crawler
        crawler.alias_httpx()
        for name in ("httpx._client", "httpx.client", "httpx.models.url"):
            try:
                __import__(name)
            except ModuleNotFoundError as exc:
                assert "alias of crawler" in str(exc)
                assert exc.name.startswith("httpx.")
            else:
                raise AssertionError(name)
        import crawler.models.url
    """,
    "it refuses to come too late": """
        import sys, types
        sys.modules["httpx"] = types.ModuleType("httpx")
        import crawler
        try:
            crawler.alias_httpx()
        except RuntimeError as exc:
            assert "before any" in str(exc)
        else:
            raise AssertionError
    """,
    "nothing happens unasked": """
        import crawler, sys
        assert "httpx" not in sys.modules
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_in_a_process_of_its_own(name: str) -> None:
    """The alias holds for the whole process, so each case has one."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAMS[name])],
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
