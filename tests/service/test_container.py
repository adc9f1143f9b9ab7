"""The files that put the service into a container say what the service needs; what they do, `.ci/run` tries."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from crawler.cli.main import app

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"


def documents(name: str) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    return list(YAML(typ="safe").load_all((CONFIGS / name).read_text(encoding="utf-8")))


def instructions(word: str) -> list[str]:
    """The instructions of that name in the Dockerfile."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    return [line.partition(" ")[2] for line in text.splitlines() if line.startswith(f"{word} ")]


def check_arguments(arguments: list[str]) -> None:
    """Parse a command line of `crawler` without running it."""
    command = get_command(app).get_command(None, arguments[0])  # type: ignore[attr-defined]
    command.make_context(arguments[0], list(arguments[1:]), resilient_parsing=False)


def test_the_image_is_built_in_stages_for_a_user_who_is_not_root() -> None:
    """Two stages, a numeric user above 0, a volume, a health check of the API, a signal that drains."""
    assert len(instructions("FROM")) == 2
    assert instructions("COPY")[-1].startswith("--from=build")
    (user,) = instructions("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert instructions("VOLUME") == ['["/state"]']
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    (check,) = instructions("HEALTHCHECK")
    compile(json.loads(check.partition("CMD")[2])[-1], "HEALTHCHECK", "exec")
    assert "/healthz" in check


def test_what_the_image_starts_can_be_started(tmp_path: Path) -> None:
    """The words of CMD are options that the command has."""
    (tail,) = instructions("CMD")
    assert json.loads(*instructions("ENTRYPOINT")) == ["crawler"]
    check_arguments(json.loads(tail))


def test_the_build_context_has_only_what_is_copied() -> None:
    """Everything is left out but the sources of the COPY instructions."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {source for line in instructions("COPY")[:-1] for source in line.split()[:-1]}

    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)


def test_compose() -> None:
    """Read-only, without capabilities, on loopback, with a token; its volumes and folders are there."""
    (compose,) = documents("compose.yaml")
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        check_arguments(service["command"])
    service = compose["services"]["crawler"]
    assert service["ports"] == ["127.0.0.1:8007:8007"]
    assert service["environment"]["CRAWLER_TOKEN"].startswith("${CRAWLER_TOKEN:?")
    folders = {line.split(":")[1]: line.split(":")[0] for line in service["volumes"]}
    assert (CONFIGS / folders["/jobs"]).is_dir()
    assert folders["/state"] in compose["volumes"]
    assert (CONFIGS / service["build"]["context"] / service["build"]["dockerfile"]).samefile(ROOT / "Dockerfile")


def pods() -> list[Any]:
    """The pod of each Kubernetes file."""
    deployment = next(one for one in documents("kubernetes-deployment.yaml") if one["kind"] == "Deployment")
    cron = next(one for one in documents("kubernetes-cronjob.yaml") if one["kind"] == "CronJob")
    templates = {
        "deployment": deployment["spec"]["template"],
        "cronjob": cron["spec"]["jobTemplate"]["spec"]["template"],
    }
    return [pytest.param(template["spec"], id=name) for name, template in templates.items()]


@pytest.mark.parametrize("pod", pods())
def test_pods_keep_to_the_restricted_standard(pod: dict[str, Any]) -> None:
    """Not root, no privileges, a root file system that is read-only; what is mounted exists; the command is one."""
    (user,) = instructions("USER")
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == user
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    safe = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert container["securityContext"] == safe
    assert pod["terminationGracePeriodSeconds"] > 10
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/jobs", "/state", "/tmp"}
    check_arguments(container["args"])


@pytest.mark.parametrize("name", ["kubernetes-deployment.yaml", "kubernetes-cronjob.yaml"])
def test_names_in_a_file_fit_together(name: str) -> None:
    """Claims, labels and ports that one object names are there in another."""
    found = {one["kind"]: one for one in documents(name)}
    versions = {"PersistentVolumeClaim": "v1", "Service": "v1", "Deployment": "apps/v1", "CronJob": "batch/v1"}
    assert all(one["apiVersion"] == versions[kind] for kind, one in found.items())
    text = (CONFIGS / name).read_text(encoding="utf-8")
    assert f"claimName: {found['PersistentVolumeClaim']['metadata']['name']}" in text
    if name == "kubernetes-deployment.yaml":
        spec = found["Deployment"]["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
        assert found["Service"]["spec"]["selector"] == spec["selector"]["matchLabels"]
        (container,) = spec["template"]["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
        assert {probe["port"] for probe in probes} == ports == {found["Service"]["spec"]["ports"][0]["targetPort"]}
        assert [probe["path"] for probe in probes] == ["/healthz", "/healthz", "/readyz"]
