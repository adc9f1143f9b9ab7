"""Do what the Dockerfile says, without a container engine: `python3 .ci/check_container.py`.

The instructions are read from the Dockerfile itself. Every absolute path of the image lies below a temporary folder
instead; RUN is run, COPY copies what `.dockerignore` leaves, and the service is started with ENTRYPOINT, CMD and ENV by
a user who is not root (where this script is root; else by its own) and who can write nothing but /state. Then: the
health check passes, a run begins, SIGTERM ends it all with code 0 within ten seconds, and after another start the run
goes on.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
INSIDE = ("/src", "/wheels", "/opt", "/state", "/jobs")
TOKEN = "a-token-of-the-check-0123456789"
NOBODY = 65534
DRAIN_S = 10.0


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile: comments left out, continued lines joined."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", kept)
    pairs = (line.strip().partition(" ") for line in joined.splitlines())
    return [(word.upper(), rest.strip()) for word, _, rest in pairs if word]


class Image:
    """The steps, below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workdir = root
        self.env: dict[str, str] = {}
        self.last: dict[str, str] = {}
        self.python = base_python(root)

    def place(self, text: str) -> str:
        """The same text with the image's paths moved below our folder."""
        return re.sub(rf"(?<![\w.])({'|'.join(INSIDE)})(?=[/\s:;\"']|$)", rf"{self.root}\1", text)

    def build(self) -> None:
        """Every instruction in order."""
        for word, rest in instructions((ROOT / "Dockerfile").read_text(encoding="utf-8")):
            print(f"{word} {rest}", flush=True)
            if word == "WORKDIR":
                self.workdir = Path(self.place(rest))
                self.workdir.mkdir(parents=True, exist_ok=True)
            elif word == "COPY":
                self.copy(rest)
            elif word == "RUN":
                self.run(rest)
            elif word == "ENV":
                self.env |= {
                    name: self.place(value) for name, value in (part.split("=", 1) for part in shlex.split(rest))
                }
            elif word not in ("ARG", "FROM", "EXPOSE"):
                self.last[word] = rest

    def copy(self, rest: str) -> None:
        """COPY from the context; between stages nothing moves, as both lie below the same folder."""
        *sources, target = rest.split()
        if sources[0].startswith("--from="):
            expect(sources[1] == target and Path(self.place(target)).is_dir(), f"COPY {rest}: nothing was built there")
            return
        for source in sources:
            for path in context(source):
                goal = (
                    self.workdir / target / (path.relative_to(ROOT / source) if (ROOT / source).is_dir() else path.name)
                )
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, goal)

    def run(self, rest: str) -> None:
        """RUN, with this Python where the image has its own, and without changing owners if we may not."""
        command = re.sub(r"(?<![\w/-])python(?= -m)", shlex.quote(self.python), self.place(rest))
        if os.getuid() != 0:
            command = re.sub(r"-o \d+ -g \d+ ", "", command)
        kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        subprocess.run(["sh", "-euc", command], cwd=self.workdir, env=kept, check=True, stdout=subprocess.DEVNULL)

    def start(self, port: int, token: str | None = TOKEN, host: str = "127.0.0.1") -> subprocess.Popen[str]:
        """ENTRYPOINT and CMD; on loopback and a free port, as this machine is not a container."""
        words = [self.place(word) for word in json.loads(self.last["ENTRYPOINT"]) + json.loads(self.last["CMD"])]
        words = [{"0.0.0.0": host, "8007": str(port)}.get(word, word) for word in words]
        env = self.environment() | ({} if token is None else {"CRAWLER_TOKEN": token})
        program = shutil.which(words[0], path=env["PATH"])
        expect(program is not None and program.startswith(str(self.root)), f"{words[0]} is not the one of the image")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([str(program), *words[1:]], cwd=self.workdir, env=env, text=True, **pipes, **user())

    def environment(self) -> dict[str, str]:
        """ENV; and where the copy of a Python that is not the image's has its library."""
        return {"LD_LIBRARY_PATH": str(self.root / "usr/local/lib"), **self.env}

    def is_healthy(self, port: int) -> bool:
        """HEALTHCHECK."""
        words = json.loads(self.last["HEALTHCHECK"].partition("CMD")[2])
        command = [self.place(word).replace("8007", str(port)) for word in words]
        return (
            subprocess.run(command, env=self.environment(), **user(), stderr=subprocess.DEVNULL, check=False).returncode
            == 0
        )  # type: ignore[call-overload]


def base_python(root: Path) -> str:
    """The Python that the image's stages begin with: this one, or a copy that everybody may use."""
    prefix = Path(sys.base_prefix)
    name = f"bin/python{sys.version_info.major}.{sys.version_info.minor}"
    if os.getuid() != 0 or all(path.stat().st_mode & 0o001 for path in (prefix, *prefix.parents)):
        return str(prefix / name)
    left_out = shutil.ignore_patterns("site-packages", "test", "tests", "__pycache__", "*.a", "share", "include")
    shutil.copytree(prefix, root / "usr/local", symlinks=True, ignore=left_out)
    return str(root / "usr/local" / name)


def context(source: str) -> list[Path]:
    """Files of the build context below a path, but for what .dockerignore keeps out; all it lets in begins with `!`."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    expect(rules[0] == "*" and f"!{source}" in rules, f".dockerignore does not let {source} in")
    out = [rule.removeprefix("**/") for rule in rules[1:] if not rule.startswith("!")]
    paths = [ROOT / source] if (ROOT / source).is_file() else sorted((ROOT / source).rglob("*"))
    return [
        path
        for path in paths
        if path.is_file() and not any(fnmatch.fnmatch(part, rule) for part in path.parts for rule in out)
    ]


def user() -> dict[str, object]:
    """Who runs the service."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}


def seal(image: Image) -> None:
    """Make everything but /state read-only, and /state the service's own."""
    for path in [image.root, *image.root.rglob("*")]:
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode) & ~0o222 | 0o444
            path.chmod(mode | (0o111 if mode & 0o100 or path.is_dir() else 0))
    state = image.root / "state"
    state.chmod(0o700)
    if os.getuid() == 0:
        os.chown(state, NOBODY, NOBODY)


def ask(port: int, path: str, body: object = None) -> dict[str, object]:
    """One request to the API."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def until(what: str, holds: object, seconds: float = 60.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        expect(time.monotonic() < end, f"{what}: not within {seconds:g} s")
        time.sleep(0.2)


def expect(holds: bool, complaint: str) -> None:
    """Leave with `complaint` unless `holds`."""
    if not holds:
        sys.exit(f"container: {complaint}")


def main() -> None:
    """Build, start, look, stop, start again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    root = Path(tempfile.mkdtemp(prefix="crawler-image-"))
    process = None
    try:
        image = Image(root)
        image.build()
        job = 'testbed: true\nurls: [/get, "/delay/60s"]\nstop: {grace: 1s}\n'
        (root / "jobs" / "slow.yaml").write_text(job, encoding="utf-8")
        expect(re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.last["USER"]) is not None, "USER is not a number above 0")
        seal(image)
        before = sorted(path for path in root.rglob("*") if root / "state" not in path.parents)

        refused = image.start(port, token=None, host="0.0.0.0")
        said = refused.communicate(timeout=30)[1]
        expect(refused.returncode == 2 and "CRAWLER_TOKEN" in said, f"without a token it says {said[-2000:]}")
        expect(not image.is_healthy(port), "the health check passes without a service")

        process = image.start(port)
        until("health check", lambda: image.is_healthy(port))
        run_id = str(ask(port, "/v1/runs", {"job": "slow"})["id"])
        until("run", lambda: ask(port, f"/v1/runs/{run_id}")["progress"].get("done") == 1)  # type: ignore[attr-defined]
        began = time.monotonic()
        process.send_signal(getattr(signal, image.last["STOPSIGNAL"]))
        code = process.wait(30)
        took = time.monotonic() - began
        expect(code == 0 and took < DRAIN_S, f"{image.last['STOPSIGNAL']} ended it with {code} after {took:.1f} s")

        process = image.start(port)
        until("health check", lambda: image.is_healthy(port))
        until("the run goes on", lambda: ask(port, f"/v1/runs/{run_id}")["state"] == "running")
        expect(ask(port, f"/v1/runs/{run_id}")["resumes"] == 1, "the run was not taken over")
        process.send_signal(signal.SIGTERM)
        expect(process.wait(30) == 0, "it did not end in order")
        after = sorted(path for path in root.rglob("*") if root / "state" not in path.parents)
        expect(before == after, f"it wrote outside /state: {set(after) - set(before)}")
        size = sum(path.lstat().st_size for path in (root / "opt/crawler").rglob("*") if path.is_file())
        who = "nobody" if os.getuid() == 0 else "this user"
        print(f"container: all steps passed as {who}; drained in {took:.1f} s; /opt/crawler has {size / 2**20:.0f} MiB")
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            print(process.communicate()[1][-2000:])
        for path in root.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
