"""A real nginx for tests: plain and TLS (HTTP/1.1 and HTTP/2), a folder of files, a proxy for nothing."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.conftest import find_program
from tests.peers.certificates import Authority

CONFIG = """
worker_processes 1; daemon off; master_process off;
pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    types {{ text/plain txt; }} default_type application/octet-stream; client_max_body_size 64m; gzip_types text/plain;
    keepalive_requests 50;
    server {{
        listen 127.0.0.1:{port}; root {folder}/files;
        location /zipped/ {{ gzip on; gzip_min_length 1; alias {folder}/files/; }}
        location /answer {{ return 200 "$request_method $http_host $http_x_test"; }}
        location /moved {{ return 301 /files/a.txt; }}
        location /gone {{ return 410; }}
        location /hangup {{ return 444; }}
    }}
    server {{
        listen 127.0.0.1:{tls_port} ssl http2; root {folder}/files; http2_max_concurrent_streams 16;
        ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
        location /answer {{ return 200 "$request_method $server_protocol $http_x_test"; }}
    }}
    server {{
        listen 127.0.0.1:{tls11_port} ssl; root {folder}/files;
        ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
    }}
}}
"""


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


class Nginx:
    """Runs nginx in the foreground of a process of ours; ends it by that process.

    Attributes:
        files: What it serves; put files there at any time.
        url, tls_url, tls11_url: Plain; TLS with HTTP/2 and 1.1; TLS with HTTP/1.1 only.
    """

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.files = folder / "files"
        self.files.mkdir()
        folder.chmod(0o755)
        port, tls_port, tls11_port = free_ports(3)
        authority.write_server_pem(folder / "server.pem")
        config = CONFIG.format(folder=folder, port=port, tls_port=tls_port, tls11_port=tls11_port)
        (folder / "nginx.conf").write_text(config, encoding="utf-8")
        self.url = f"http://127.0.0.1:{port}"
        self.tls_url = f"https://localhost:{tls_port}"
        self.tls11_url = f"https://localhost:{tls11_port}"
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = find_program("nginx")
        assert program is not None
        command = [program, "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self
            time.sleep(0.01)
        self._process.kill()
        raise RuntimeError((self._folder / "error.log").read_text(encoding="utf-8"))

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)
