"""Plans: what is refused, and that a worker gets what was planned."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crawler.bench import TLS, Arm, BenchPlan, Executor, Guard, PlanError, RequestSpec, Stage

URL = "http://127.0.0.1:8008/"
CLOSED = Executor(requests=10)


def test_a_plan_survives_json() -> None:
    """What a worker reads is what was planned, bytes of the body included."""
    plan = BenchPlan(
        urls=(URL,),
        arms=(Arm("a[vus=4]", group="a", vus=4, matrix=(("vus", 4),)), Arm("b", url=URL + "b", http_version="2")),
        executor=Executor("ramping_rate", stages=(Stage(10, 1), Stage(20, 2)), max_vus=7),
        baseline="b",
        guard=Guard(cpu=None),
        request=RequestSpec("POST", (("X", "1"),), b"\x00\xff", status=(201,), size_bytes=3),
        tls=TLS(False, "ca.pem"),
    )
    assert BenchPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"engine": "sync", "vus": 2}, "vus must be 1"),
        ({"engine": "async", "client": "requests"}, "requests runs with engine sync or threads"),
        ({"client": "aiohttp", "http_version": "2"}, "aiohttp speaks HTTP/1.1 only"),
        ({"client": "curl"}, "unknown client"),
        ({"engine": "engine", "client": "httpx"}, "httpx runs with"),
        ({"engine": "engine", "reuse": False}, "always keeps connections"),
        ({"streams_per_connection": 10}, "for HTTP/2"),
        ({"vus": 0}, "at least 1"),
    ],
)
def test_an_arm_that_cannot_run_is_refused(options: dict[str, Any], said: str) -> None:
    """The message names the arm and what would do."""
    with pytest.raises(PlanError, match=said):
        Arm("mine", **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"requests": 5, "duration": 5},
        {"requests": 0},
        {"duration": 1, "rate": 5},
        {"kind": "constant_rate", "rate": 5},
        {"kind": "constant_rate", "duration": 5},
        {"kind": "constant_rate", "duration": 5, "rate": 0},
        {"kind": "ramping_rate"},
        {"kind": "ramping_rate", "stages": (Stage(5, 1),), "duration": 3},
        {"kind": "ramping_rate", "stages": (Stage(5, 0),)},
        {"kind": "constant_rate", "duration": 5, "rate": 1, "requests": 3},
    ],
)
def test_a_load_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    """Each executor takes its own keys, and amounts above zero."""
    with pytest.raises(PlanError):
        Executor(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"arms": ()},
        {"arms": (Arm("a"), Arm("a"))},
        {"arms": tuple(Arm(str(number)) for number in range(65))},
        {"urls": ()},
        {"baseline": "nobody"},
        {"warmup_requests": 1, "warmup_s": 1.0},
        {"rounds": 0},
        {"confidence": 1.0},
        {"arms": (Arm("e", engine="engine"),), "executor": Executor("constant_rate", rate=1, duration=1)},
    ],
)
def test_a_plan_that_cannot_run_is_refused(options: dict[str, Any]) -> None:
    """Before anything is sent."""
    with pytest.raises(PlanError):
        BenchPlan(**{"urls": (URL,), "arms": (Arm("a"),), "executor": CLOSED, **options})


def test_the_first_arm_is_the_baseline_unless_named() -> None:
    """Every arm is compared with it."""
    plan = BenchPlan((URL,), (Arm("a"), Arm("b")), CLOSED)
    assert plan.baseline == "a"
    assert plan.baseline_of(plan.arms[1]) is plan.arms[0]


def test_a_group_as_baseline_compares_cell_by_cell() -> None:
    """With a matrix, `h2[vus=4]` is compared with `h1[vus=4]`, not with `h1[vus=1]`."""
    arms = [
        Arm(f"{group}[vus={vus}]", group=group, vus=vus, matrix=(("vus", vus),))
        for vus in (1, 4)
        for group in ("x", "y")
    ]
    plan = BenchPlan((URL,), tuple(arms), CLOSED, baseline="x")
    assert {arm.name: plan.baseline_of(arm).name for arm in plan.arms} == {
        "x[vus=1]": "x[vus=1]",
        "y[vus=1]": "x[vus=1]",
        "x[vus=4]": "x[vus=4]",
        "y[vus=4]": "x[vus=4]",
    }


def test_an_executor_knows_its_length_and_peak() -> None:
    """Stages add up; the highest rate is what a host must bear."""
    ramp = Executor("ramping_rate", stages=(Stage(100, 30), Stage(1000, 60), Stage(10, 5)))
    assert (ramp.seconds, ramp.peak_rate, ramp.is_open) == (95, 1000, True)
    assert (CLOSED.seconds, CLOSED.peak_rate, CLOSED.is_open) == (None, None, False)
