"""Starting, stopping, listeners, protocols."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import h2.config
import h2.connection
import h2.events
import pytest

from crawler.testbed import Addresses, ListenError, Testbed, serve


def address(url: str) -> tuple[str, int]:
    """Return host and port of a URL."""
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait up to ten seconds for a condition."""
    for _ in range(1_000):
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_a_bed_answers_while_it_is_entered_and_not_after() -> None:
    """Requests succeed inside the `with` block; after it the port refuses."""
    with Testbed() as bed:
        with urllib.request.urlopen(bed.url + "/get") as response:
            assert response.status == 200
        url = bed.url
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address(url), timeout=5)


def test_a_bed_can_start_again() -> None:
    """After a stop the same object starts anew; stopping twice is harmless."""
    bed = Testbed()
    for _ in range(2):
        bed.start()
        with urllib.request.urlopen(bed.url + "/status/200") as response:
            assert response.read() == b"200 OK\n"
        bed.stop()
    bed.stop()


def test_a_running_bed_refuses_a_second_start() -> None:
    """Starting twice is a mistake of the caller and said so."""
    with Testbed() as bed, pytest.raises(RuntimeError, match="runs already"):
        bed.start()


def test_nothing_is_known_before_the_start() -> None:
    """Asking for the address too early says what to do."""
    with pytest.raises(RuntimeError, match="not started"):
        _ = Testbed().url


def test_a_bed_without_tls_says_so() -> None:
    """`tls_url` without TLS names the option that gives it."""
    with Testbed() as bed, pytest.raises(RuntimeError, match="tls=True"):
        _ = bed.tls_url


@pytest.mark.parametrize("which", ["port", "tls_port"])
def test_a_taken_port_is_an_os_error_of_the_caller(which: str) -> None:
    """A port in use raises at the start, with the port in the message, and leaves nothing open."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bed = Testbed(port=port) if which == "port" else Testbed(tls_port=port)
        with pytest.raises(ListenError, match=str(port)) as caught:
            bed.start()
        assert isinstance(caught.value, OSError)
        assert caught.value.errno


def test_an_impossible_port_is_a_listen_error_too() -> None:
    """Port 70000 does not exist; the error is of the same kind."""
    with pytest.raises(ListenError, match="70000"):
        Testbed(port=70_000).start()


def count_testbed_threads() -> int:
    return [thread.name for thread in threading.enumerate()].count("crawler-testbed")


def test_stop_does_not_wait_for_open_connections(bed: Testbed) -> None:
    """A request in its delay, an idle connection, half a head and a reader that reads nothing: all are broken off."""
    before = count_testbed_threads()
    with Testbed() as victim:
        sockets = [socket.create_connection(address(victim.url), timeout=10) for _ in range(4)]
        sockets[0].sendall(b"GET /delay/60 HTTP/1.1\r\nHost: t\r\n\r\n")
        sockets[1].sendall(b"GET /get HTTP/1.1\r\nHost: t\r\n\r\n")
        assert sockets[1].recv(100).startswith(b"HTTP/1.1 200")
        sockets[2].sendall(b"GET /get HTTP/1.1\r\nHo")
        sockets[3].sendall(b"GET /bytes/1000000000 HTTP/1.1\r\nHost: t\r\n\r\n")
        assert sockets[3].recv(1) == b"H"
        assert count_testbed_threads() == before + 1
    assert count_testbed_threads() == before
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize("path", ["/delay/60", "/bytes/100000000000", "/cut/100000000000", "/sse?n=1000000&delay=50ms"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_work_for_a_peer_that_left_ends(path: str, scheme: str) -> None:
    """Whoever closes the connection has the server give up its request, in time and without noise."""
    with Testbed(tls=True) as bed:
        sock = socket.create_connection(address(bed.url if scheme == "http" else bed.tls_url), timeout=10)
        if scheme == "https":
            sock = ssl.create_default_context(cadata=bed.ca_pem).wrap_socket(sock, server_hostname="127.0.0.1")
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        if "delay/" not in path:
            assert sock.recv(1) == b"H"
        assert eventually(lambda: bed.app.stats.in_flight == 1)
        sock.close()
        assert eventually(lambda: bed.app.stats.in_flight == 0)


def test_a_connection_serves_many_requests(bed: Testbed) -> None:
    """Keep-alive is on: one connection carries request after request."""
    connection = http.client.HTTPConnection(*address(bed.url), timeout=10)
    for _ in range(50):
        connection.request("GET", "/status/200")
        assert connection.getresponse().read() == b"200 OK\n"
        assert connection.sock is not None
    connection.close()


def test_300_delayed_requests_wait_at_the_same_time() -> None:
    """300 requests on 300 connections are all in flight before the first is answered."""
    with Testbed() as bed:
        sockets = [socket.create_connection(address(bed.url), timeout=20) for _ in range(300)]
        for sock in sockets:
            sock.sendall(b"GET /delay/1s HTTP/1.1\r\nHost: t\r\n\r\n")
        for sock in sockets:
            assert sock.recv(15) == b"HTTP/1.1 200 \r\n"
            sock.close()
        assert bed.app.stats.peak_in_flight == 300


def test_ipv6() -> None:
    """An IPv6 address is listened on and bracketed in the URL."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with Testbed("::1") as bed:
        assert bed.url.startswith("http://[::1]:")
        with urllib.request.urlopen(bed.url + "/ip") as response:
            assert b"::1" in response.read()


def test_tls_with_http1(bed: Testbed) -> None:
    """A client without ALPN speaks HTTP/1.1 over TLS, trusting `ca_pem`, for the address and for localhost."""
    context = ssl.create_default_context(cadata=bed.ca_pem)
    for host in ("127.0.0.1", "localhost"):
        url = f"https://{host}:{address(bed.tls_url)[1]}/get"
        with urllib.request.urlopen(url, context=context) as response:
            assert f'"url":"{url}"'.encode() in response.read()


def test_tls_is_not_trusted_without_the_authority(bed: Testbed) -> None:
    """The certificate is of its own authority, so default trust refuses it."""
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(bed.tls_url + "/get", context=ssl.create_default_context())


def test_http2_by_alpn(bed: Testbed) -> None:
    """A client that offers h2 gets it; 20 requests share the connection, a body of 300 KB is flow-controlled."""
    context = ssl.create_default_context(cadata=bed.ca_pem)
    context.set_alpn_protocols(["h2", "http/1.1"])
    host, port = address(bed.tls_url)
    bodies: dict[int, bytes] = {}
    ended = 0
    with (
        socket.create_connection((host, port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=host) as sock,
    ):
        assert sock.selected_alpn_protocol() == "h2"
        conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        conn.initiate_connection()
        for number in range(20):
            path = "/bytes/300000" if number == 0 else "/get"
            pairs = [(":method", "GET"), (":scheme", "https"), (":authority", f"{host}:{port}"), (":path", path)]
            conn.send_headers(1 + 2 * number, pairs, end_stream=True)
        sock.sendall(conn.data_to_send())
        while ended < 20:
            data = sock.recv(65_536)
            assert data
            for event in conn.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                    conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    ended += 1
            sock.sendall(conn.data_to_send())
    assert len(bodies[1]) == 300_000
    assert all(b'"http_version":"HTTP/2"' in bodies[1 + 2 * number] for number in range(1, 20))


def test_http2_streams_of_a_peer_that_left_end() -> None:
    """Streams that are reset, and those of a closed connection, are given up; the rest do not delay a stop."""
    paths = ["/delay/60", "/bytes/1000000000"] * 5
    with contextlib.ExitStack() as stack:
        with Testbed(tls=True) as bed:
            context = ssl.create_default_context(cadata=bed.ca_pem)
            context.set_alpn_protocols(["h2"])
            for leave in ("reset", "close", "stay"):
                raw = socket.create_connection(address(bed.tls_url), timeout=10)
                sock = stack.enter_context(context.wrap_socket(raw, server_hostname="127.0.0.1"))
                conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
                conn.initiate_connection()
                for number, path in enumerate(paths):
                    pairs = [(":method", "GET"), (":scheme", "https"), (":authority", "t"), (":path", path)]
                    conn.send_headers(1 + 2 * number, pairs, end_stream=True)
                sock.sendall(conn.data_to_send())
                assert eventually(lambda: bed.app.stats.in_flight == len(paths))
                if leave == "reset":
                    for number in range(len(paths)):
                        conn.reset_stream(1 + 2 * number)
                    sock.sendall(conn.data_to_send())
                elif leave == "close":
                    sock.close()
                else:
                    break
                assert eventually(lambda: bed.app.stats.in_flight == 0)
        assert bed.app.stats.in_flight == 0


def test_faults_of_peers_make_no_noise(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Garbage, plain text to the TLS port, leaving in mid-request: nothing on stderr, nothing logged."""
    beginnings = [
        b"\x00\x01garbage\r\n\r\n",
        b"GET /delay/5 HTTP/1.1\r\nHost: t\r\n\r\n",
        b"POST /post HTTP/1.1\r\n",
        b"GET /bytes/100000000 HTTP/1.1\r\nHost: t\r\n\r\n",
    ]
    with caplog.at_level(logging.INFO), Testbed(tls=True) as bed:
        for url in (bed.url, bed.tls_url):
            for data in beginnings:
                with socket.create_connection(address(url), timeout=5) as sock:
                    sock.sendall(data)
                    if url is bed.url and data.startswith(b"GET /bytes"):
                        assert sock.recv(1) == b"H"
        urllib.request.urlopen(bed.url + "/get").close()
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_serve_runs_in_a_loop_of_ones_own() -> None:
    """`serve()` reports its addresses, answers, and ends when told."""

    async def main() -> bytes:
        stop = asyncio.Event()
        ready: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve(port=0, on_ready=ready.set_result, stop=stop))
        reader, writer = await asyncio.open_connection(*address((await ready).url))
        writer.write(b"GET /status/200 HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        stop.set()
        await task
        return answer

    assert asyncio.run(main()).endswith(b"\r\n\r\n200 OK\n")


RUN = """
from crawler.testbed import run
run(port=0, tls_port=0, on_ready=lambda at: print(at.url, at.tls_url, flush=True))
print("ended", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to a child there")
def test_run_ends_with_sigint() -> None:
    """`run()` blocks until SIGINT, returns quietly and prints nothing itself."""
    import signal

    command = [sys.executable, "-c", RUN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url, tls_url = process.stdout.readline().split()
            assert tls_url.startswith("https://")
            with socket.create_connection(address(url), timeout=5) as held, ThreadPoolExecutor(1) as pool:
                held.sendall(b"GET /delay/60 HTTP/1.1\r\nHost: t\r\n\r\n")
                process.send_signal(signal.SIGINT)
                out, err = pool.submit(process.communicate, timeout=10).result()
        finally:
            process.kill()
    assert (out, err, process.returncode) == ("ended\n", "", 0)


def test_importing_is_light() -> None:
    """`import crawler.testbed` loads neither hypercorn nor starlette nor trustme."""
    code = "import sys, crawler.testbed; print([m for m in ('hypercorn', 'starlette', 'trustme') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "[]\n"
