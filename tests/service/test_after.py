"""What follows a run: which runs are kept, what there is to tell, and that it is told."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from crawler.jobs.service_schema import Network, Notify, Retention
from crawler.service.content import content_digest
from crawler.service.events import events_of, message_of
from crawler.service.keep import expired
from crawler.service.notify import Failed, send, signature, wait_before
from crawler.service.runner import verdict
from crawler.service.settings import Settings, worker_environment
from crawler.service.states import State
from crawler.service.store import NewRun, RunRow
from tests.service.conftest import Bench

DAY = 86400.0


def row(number: int, state: str = "finished", exit_code: int | None = 0, **values: Any) -> RunRow:
    """A run that was made at second `number`."""
    started = None if state in ("skipped", "missed") else float(number)
    known: dict[str, Any] = {
        **{"id": f"{number:026d}", "job": "x", "origin": "schedule", "state": State(state), "reason": "", "slot": None},
        **{"start_by": None, "created": float(number), "started": started, "ended": float(number), "ran": 1.0},
        **{"losses": 0, "resumes": 0, "lease": None, "wanted": "", "exit_code": exit_code, "message": ""},
        **{"progress": {}, "outputs": (), "content": None, "size": 0},
    }
    return RunRow(**{**known, **values})


def gone(those: Sequence[RunRow], /, *, now: float = 1000.0, **policy: Any) -> list[int]:
    """Which runs go, by their second."""
    newest = sorted(those, key=lambda run: run.id, reverse=True)
    return [int(run.id) for run in expired(newest, Retention.model_validate(policy), now)]


def test_good_and_failed_runs_are_counted_apart() -> None:
    """The oldest go first; of the failed ones as many stay as the job says."""
    runs = [row(n) for n in range(1, 6)] + [row(n, exit_code=1) for n in range(6, 10)]

    assert gone(runs, runs=2, keep_failed=1) == [1, 2, 3, 6, 7, 8]


def test_the_last_good_run_stays_whatever_its_age_and_size() -> None:
    """However old, however large, however many failed since."""
    runs = [row(1, size=10**9), *(row(n, exit_code=1) for n in range(2, 30))]

    assert 1 not in gone(runs, now=400 * DAY, age="1d", size="1KiB", keep_failed=0)


def test_age_and_size_bound_what_is_kept() -> None:
    """Runs that are not over are never touched."""
    runs = [row(1, size=60), row(2, size=60), row(3, size=60), row(4, "running", None)]

    assert gone(runs, size="120B", age=None) == [1]
    assert gone(runs, now=2 * DAY, age="1d") == [1, 2]


def test_left_out_starts_do_not_push_runs_out() -> None:
    """They are counted among themselves."""
    runs = [row(1), *(row(n, "skipped", None) for n in range(2, 10))]

    assert gone(runs, runs=3) == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("run", "before", "expected"),
    [
        (row(9), [row(8)], {"finished"}),
        (row(9, exit_code=1), [], {"finished", "failed"}),
        (row(9, "failed", 7), [row(8)], {"finished", "failed"}),
        (row(9), [row(8, "skipped", None), row(7, exit_code=1)], {"finished", "recovered"}),
        (row(9, content="b"), [row(8, exit_code=1), row(7, content="a")], {"finished", "recovered", "changed"}),
        (row(9, content="a"), [row(8, content="a")], {"finished"}),
        (row(9, exit_code=5), [], {"finished", "threshold"}),
        (row(9, "missed", None), [], {"skipped"}),
        (row(9, "skipped", None), [], {"skipped"}),
        (row(9, "stopped", 3, reason="cancelled"), [], {"finished"}),
        (row(9, "stopped", 3, reason="schedule.timeout is over"), [], {"finished", "failed"}),
    ],
)
def test_what_a_run_is_an_event_of(run: RunRow, before: list[RunRow], expected: set[str]) -> None:
    """By its end, and by the runs before it."""
    assert events_of(run, before) == expected


def test_the_digest_of_what_was_found_knows_no_order(tmp_path: Path) -> None:
    """Another body is another digest; without hashes there is none."""
    lines = [json.dumps({"method": "GET", "url": f"https://example.org/{n}", "sha256": str(n)}) for n in range(5)]
    one, other, third = (tmp_path / name for name in "abc")
    one.write_text("\n".join(lines) + "\n")
    other.write_text("\n".join(lines[::-1]) + "\n")
    third.write_text("\n".join([*lines[:4], lines[4].replace('"4"', '"5"')]) + "\n")

    assert content_digest(one) == content_digest(other) != content_digest(third)
    assert content_digest(tmp_path / "nowhere") is None


class _Receiver:
    """A webhook on this machine that notes what it gets, and answers by the statuses it is given."""

    def __init__(self, statuses: list[int]) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(statuses.pop(0) if statuses else 204)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self._thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> _Receiver:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


def test_a_webhook_is_signed_and_goes_nowhere_else(settings: Settings) -> None:
    """The signature covers time and body; redirects are not followed; addresses obey the guard."""
    body = message_of(row(9, exit_code=1), ["failed"])
    with _Receiver([204, 302]) as hook:
        notify = Notify.model_validate({"webhook": {"url": hook.url, "secret": "s3cret"}})
        asyncio.run(send(notify, body, Network(), settings))
        with pytest.raises(Failed, match="302"):
            asyncio.run(send(notify, body, Network(), settings))
        closed = Settings(settings.jobs, settings.state)
        with pytest.raises(Failed, match="not permitted"):
            asyncio.run(send(notify, body, Network(), closed))

    headers, data = hook.got[0]
    signed = headers["x-crawler-timestamp"].encode() + b"." + data
    assert headers["x-crawler-signature"] == "sha256=" + hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert headers["x-crawler-signature"] == signature("s3cret", int(headers["x-crawler-timestamp"]), data)
    assert (len(hook.got), json.loads(data)["events"]) == (2, ["failed"])


def test_a_command_gets_the_message_and_none_of_our_secrets(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standard input; a program that fails or is not there is tried again."""
    monkeypatch.setenv("CRAWLER_TOKEN", "x" * 32)
    out = tmp_path / "said"
    program = f"import os, sys; open({str(out)!r}, 'w').write(sys.stdin.read() + str(dict(os.environ)))"
    body = message_of(row(9), ["finished"])
    asyncio.run(send(Notify(command=[sys.executable, "-c", program]), body, Network(), settings))

    said = out.read_text()
    assert '"run_id":"00000000000000000000000009"' in said
    assert "x" * 32 not in said
    for command in ([sys.executable, "-c", "raise SystemExit(3)"], [str(tmp_path / "nowhere")]):
        with pytest.raises(Failed):
            asyncio.run(send(Notify(command=command), body, Network(), settings))
    with pytest.raises(Failed, match="CRAWLER_SMTP_URL"):
        asyncio.run(send(Notify.model_validate({"email": {"to": "a@example.org"}}), body, Network(), settings))


def test_tries_are_bounded_and_spread() -> None:
    """Ten seconds first, then four times as long each."""
    assert [wait_before(tries) for tries in (1, 2, 3, 4)] == [10, 40, 160, 640]


def test_a_failed_run_is_told_once(
    serve: Callable[..., None], write_job: Callable[[str, str], Path], tmp_path: Path
) -> None:
    """One message per entry, with what happened; and old runs make room."""
    with _Receiver([]) as hook:
        write_job(
            "demo",
            f"urls: [BED/status/404]\nnotify: {{when: [failed], webhook: {{url: '{hook.url}'}}}}\n"
            "retention: {keep_failed: 0}\n",
        )

        async def work(bench: Bench) -> None:
            run_id = (await bench.post("/v1/runs", {"job": "demo"})).json()["id"]
            for _ in range(200):
                if hook.got and not bench.service.store.runs():
                    break
                await asyncio.sleep(0.05)
            assert json.loads(hook.got[0][1])["run_id"] == run_id
            assert bench.service.store.runs() == []
            for _ in range(100):
                if not list(bench.service.settings.state.glob("runs/demo/*")):
                    return
                await asyncio.sleep(0.05)
            raise AssertionError("the folder is still there")

        serve(work)
    assert len(hook.got) == 1


@pytest.mark.parametrize(
    ("said", "wanted", "losses", "draining", "state"),
    [
        (None, "", 0, False, State.QUEUED),
        (None, "", 1, False, State.FAILED),
        (None, "stopped", 0, False, State.STOPPED),
        (None, "paused", 1, False, State.PAUSED),
        (None, "", 0, True, State.INTERRUPTED),
        ("finished", "", 0, False, State.FINISHED),
        ("finished", "paused", 0, True, State.FINISHED),
        ("stopped", "paused", 0, False, State.PAUSED),
        ("stopped", "stopped", 0, False, State.STOPPED),
        ("stopped", "", 0, True, State.INTERRUPTED),
        ("stopped", "", 0, False, State.STOPPED),
        ("failed", "", 0, False, State.FAILED),
        ("refused", "", 0, False, State.FAILED),
        ("locked", "", 0, False, State.QUEUED),
    ],
)
def test_what_follows_the_end_of_a_process(
    said: str | None, wanted: str, losses: int, draining: bool, state: State
) -> None:
    """By its last words, and by what was wanted of it."""
    message: dict[str, Any] | None = None
    if said in ("refused", "locked"):
        message = {"kind": "refused", "exit_code": 6 if said == "locked" else 2, "message": "no"}
    elif said is not None:
        message = {
            **{"kind": "ended", "state": said, "exit_code": 3, "message": "", "progress": {}, "size": 1},
            "content": None,
        }

    assert verdict(row(9, "running", losses=losses), message, -9, wanted, is_draining=draining)[0] is state


def test_a_strangers_job_sees_next_to_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no run sees the service's own secrets."""
    monkeypatch.setenv("CRAWLER_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    assert "CRAWLER_TOKEN" not in worker_environment(inline=False)
    assert "AWS_SECRET_ACCESS_KEY" in worker_environment(inline=False)
    assert "secret" not in worker_environment(inline=True).values()


def test_a_late_run_is_missed_and_a_gone_job_fails(serve: Callable[..., None]) -> None:
    """Both are told, neither is run."""

    async def work(bench: Bench) -> None:
        now = bench.service.wall()
        late = bench.service.store.add(NewRun("x", slot=1, start_by=now - 1), now)
        lost = bench.service.store.add(NewRun("x"), now)
        bench.service.runner.wake()
        assert (await bench.until(late.id, "missed"))["reason"].startswith("it could not begin")
        assert (await bench.until(lost.id, "failed"))["message"] == "its job file is gone"

    serve(work)
