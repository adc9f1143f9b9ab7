"""The server of the benchmarks: nginx, one worker on a core of its own, from a configuration made for the run.

It serves 1 KiB (`/1k.bin`), 100 MB and 1 GB of zeros (`/100m.bin`, `/1g.bin`, sparse files), `/post` (takes a body
into memory, answers 200), `/slow.bin` (1 KiB in about four seconds), `/paced.bin` (1 KiB, 500 answers a second and the
others wait in line) and `/status`, over HTTP/1.1, TLS, and HTTP/2 over
TLS, on free ports of 127.0.0.1.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from benchmarks.loads import Load

SMALL: Final = 1024
MEDIUM: Final = 100_000_000
LARGE: Final = 1_000_000_000
PACED: Final = 500

# Kept plain, and favourable to every client alike: no log, files stay open, connections never end by themselves.
# The process stays in the foreground and is one (`master_process off`), so that it inherits its core from us.
CONFIGURATION: Final = """
daemon off; master_process off; worker_rlimit_nofile {files}; pid {root}/nginx.pid; error_log {root}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
  access_log off; default_type application/octet-stream; sendfile on; tcp_nodelay on;
  open_file_cache max=16 inactive=1h;
  keepalive_timeout 1h; keepalive_requests 1000000000; client_body_buffer_size 64k; client_max_body_size 1m;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  limit_req_zone $uri zone=paced:1m rate={paced}r/s;
  server {{
    listen 127.0.0.1:{plain} backlog=8192;
    listen 127.0.0.1:{tls} ssl backlog=8192;
    listen 127.0.0.1:{http2} ssl http2 backlog=8192;
    ssl_certificate {root}/server.pem; ssl_certificate_key {root}/server.pem; ssl_session_cache shared:s:1m;
    root {root};
    location = /post {{ return 200 "{{}}"; }}
    location = /slow.bin {{ limit_rate 256; }}
    location = /paced.bin {{ limit_req zone=paced burst=10000; }}
    location = /status {{ stub_status; }}
  }}
}}
"""


@dataclass(frozen=True)
class Server:
    """Where a running server is.

    Attributes:
        plain, tls, http2: Base URLs, by what is spoken there.
        ca: The file of the authority that signed its certificate.
        version: As it tells itself.
    """

    plain: str
    tls: str
    http2: str
    ca: str
    version: str

    def resolve(self, load: Load, seconds: float) -> Load:
        """Point a load at this server."""
        base = self.http2 if load.http2 else self.tls if load.tls else self.plain
        return load.at(base, self.ca, seconds)

    def accepted(self) -> int:
        """How many connections it has accepted so far, the one that asks included."""
        return self._status()[0]

    def requests(self) -> int:
        """How many requests it has answered so far, the one that asks included."""
        return self._status()[2]

    def _status(self) -> list[int]:
        """Connections accepted, connections handled, requests."""
        with urllib.request.urlopen(f"{self.plain}/status", timeout=5) as answer:
            numbers: list[bytes] = answer.read().split(b"requests")[1].split()
        return [int(number) for number in numbers[:3]]


def find_nginx() -> str | None:
    """The path of nginx; it often lies in a directory for servers, off an ordinary user's PATH."""
    return shutil.which(
        "nginx", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    )


@contextmanager
def running_server(cores: set[int], fill: Callable[[Path], object] | None = None) -> Iterator[Server]:
    """Run nginx on `cores` while the block runs.

    Args:
        cores: Where it runs.
        fill: Puts further files into the folder that it serves.

    Raises:
        RuntimeError: It is not installed, or does not start.
    """
    nginx = find_nginx()
    if nginx is None:
        raise RuntimeError("nginx is not installed (for example: apt-get install nginx)")
    with tempfile.TemporaryDirectory(prefix="crawler-benchmark-") as folder:
        root = Path(folder)
        ca = _write_files(root)
        if fill is not None:
            fill(root)
        ports = _free_ports(3)
        _write_configuration(root, ports)
        process = subprocess.Popen(
            [nginx, "-p", folder, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"],
            preexec_fn=lambda: pin(cores),
        )
        try:
            for port in ports:
                _wait_for(port, process, root / "error.log")
            plain, tls, http2 = ports
            yield Server(
                plain=f"http://127.0.0.1:{plain}",
                tls=f"https://127.0.0.1:{tls}",
                http2=f"https://127.0.0.1:{http2}",
                ca=ca,
                version=_version(nginx),
            )
        finally:
            process.terminate()
            process.wait(10)


def pin(cores: set[int]) -> None:
    """Keep this process on `cores`, where the system can do that; an empty set leaves it alone."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def _write_files(root: Path) -> str:
    (root / "1k.bin").write_bytes(b"x" * SMALL)
    for name in ("slow.bin", "paced.bin"):
        (root / name).write_bytes(b"x" * SMALL)
    for name, size in (("100m.bin", MEDIUM), ("1g.bin", LARGE)):
        with (root / name).open("wb") as large:
            large.truncate(size)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(root / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(root / "server.pem"))
    return str(root / "ca.pem")


def _write_configuration(root: Path, ports: list[int]) -> None:
    files = _file_limit()
    plain, tls, http2 = ports
    text = CONFIGURATION.format(
        root=root, paced=PACED, plain=plain, tls=tls, http2=http2, files=files, connections=min(16384, files - 64)
    )
    (root / "nginx.conf").write_text(text)


def _file_limit() -> int:
    import resource

    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)


def _free_ports(count: int) -> list[int]:
    """Ports that are free now; all are held until the last is found, so that they differ."""
    with_sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in with_sockets]
    for held in with_sockets:
        held.close()
    return ports


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    said = log.read_text().strip() if log.exists() else ""
    raise RuntimeError(f"nginx does not listen on port {port}: {said or 'it says nothing'}")


def _version(nginx: str) -> str:
    told = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False)
    return told.stderr.strip().rpartition(": ")[2].replace("/", " ")
