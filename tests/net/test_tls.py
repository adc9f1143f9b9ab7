"""TLS contexts, and what real failed handshakes on loopback become."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from crawler.errors import ConnectError
from crawler.net import tls
from crawler.net.tls import context_for, create_ssl_context, tls_error
from tests.peers.certificates import Authority
from tests.peers.listener import Listener

H1 = ("http/1.1",)
VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


@pytest.fixture(scope="module")
def authority() -> Authority:
    """An authority that the system does not trust."""
    return Authority()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of this machine counts, and no context of another test is shared."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(tls, "_shared", {})


def say_hello(connection: socket.socket) -> None:
    """Serve one line."""
    connection.sendall(b"hello")
    connection.recv(1)


def handshake(listener: Listener, context: ssl.SSLContext, name: str = "localhost") -> bytes:
    """Connect and shake hands as a client, then read what the server says; raises what `ssl` raises."""
    with (
        socket.create_connection((listener.host, listener.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as encrypted,
    ):
        return encrypted.recv(100)


def failed_handshake(listener: Listener, context: ssl.SSLContext, name: str = "localhost") -> ConnectError:
    """Shake hands in vain, and translate the failure."""
    with pytest.raises(ssl.SSLError) as caught:
        handshake(listener, context, name)
    return tls_error(caught.value, name)


def test_a_trusted_server_is_accepted(authority: Authority) -> None:
    """A context given by the user verifies against the user's roots."""
    with Listener(say_hello, authority.server_context(alpn=H1)) as server:
        assert handshake(server, context_for(authority.client_context(), None, True, H1)) == b"hello"


def test_an_unknown_authority_is_refused(authority: Authority) -> None:
    """The default context does not trust a private authority, and the message says how to."""
    with Listener(say_hello, authority.server_context()) as server:
        error = failed_handshake(server, context_for(True, None, True, H1))

    assert error.kind == "tls_untrusted"
    assert "localhost" in str(error)
    assert "SSL_CERT_FILE" in str(error)


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    """A certificate whose time is over is told from an unknown authority."""
    with Listener(say_hello, authority.server_context(expired=True)) as server:
        error = failed_handshake(server, authority.client_context())

    assert error.kind == "tls_expired"
    assert "expired" in str(error)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_certificate_of_another_name_is_refused(authority: Authority, name: str) -> None:
    """A certificate for another host or address is told from an unknown authority."""
    with Listener(say_hello, authority.server_context("elsewhere.test")) as server:
        error = failed_handshake(server, authority.client_context(), name)

    assert error.kind == "tls_hostname"
    assert name in str(error)


def test_verification_can_be_switched_off(authority: Authority) -> None:
    """With `verify=False` any certificate does."""
    with Listener(say_hello, authority.server_context("elsewhere.test", expired=True)) as server:
        assert handshake(server, context_for(False, None, True, H1)) == b"hello"


def test_plain_text_instead_of_tls() -> None:
    """A server that answers in plain text is a protocol error with a hint at http://."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with Listener(answer) as server:
        error = failed_handshake(server, create_ssl_context(False))

    assert error.kind == "tls_protocol"
    assert "http://" in str(error)


def test_hanging_up_in_the_handshake_may_be_retried() -> None:
    """A server that closes without an alert has said nothing about TLS: the kind is that of a reset."""

    def hang_up(connection: socket.socket) -> None:
        connection.recv(4096)

    with Listener(hang_up) as server:
        error = failed_handshake(server, create_ssl_context(False))

    assert error.kind == "connect_reset"


def test_an_alert_of_the_server_is_named() -> None:
    """The server's reason for refusing stands in the message."""

    def refuse(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(bytes([21, 3, 3, 0, 2, 2, 40]))  # fatal alert: handshake_failure

    with Listener(refuse) as server:
        error = failed_handshake(server, create_ssl_context(False))

    assert error.kind == "tls_protocol"
    assert "HANDSHAKE_FAILURE" in str(error)


def test_no_version_in_common(authority: Authority) -> None:
    """A server without our TLS versions is a protocol error that speaks of versions."""
    context = create_ssl_context(False)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server_context = authority.server_context()
    server_context.minimum_version = ssl.TLSVersion.TLSv1_3
    with Listener(say_hello, server_context) as server:
        error = failed_handshake(server, context)

    assert error.kind == "tls_protocol"
    assert "version" in str(error)


def test_a_missing_client_certificate_is_named(authority: Authority) -> None:
    """The alert of a server that wants a client certificate leads to advice about one."""
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # in TLS 1.3 the alert comes after the handshake
    with Listener(say_hello, authority.server_context(wants_client_certificate=True)) as server:
        error = failed_handshake(server, context)

    assert error.kind == "tls_protocol"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "client certificate"),
        ("record layer failure", "does not speak TLS"),
        ("TLSV1_ALERT_INTERNAL_ERROR", "alert"),
        ("BAD_SIGNATURE", "not the TLS handshake"),
    ],
)
def test_other_reasons_have_their_advice(reason: str, words: str) -> None:
    """Each class of OpenSSL's reasons leads to its own advice, whatever the spelling."""
    exc = ssl.SSLError(1, "words")
    exc.reason = reason

    assert words in str(tls_error(exc, "h"))


def test_verifiers_with_codes_of_their_own_are_read_by_their_words() -> None:
    """The system verifiers of Windows and macOS are sorted by what they say."""
    cases = {
        "“h” certificate is expired": "tls_expired",
        "“h” certificate name does not match input": "tls_hostname",
        "“h” certificate is not trusted": "tls_untrusted",
    }
    for words, kind in cases.items():
        assert tls_error(ssl.SSLCertVerificationError(words), "h").kind == kind


def load_client_certificate(authority: Authority, folder: Path) -> str:
    """Write a client certificate with its key into one file."""
    path = folder / "client.pem"
    authority.client_certificate().private_key_and_cert_chain_pem.write_to_path(str(path))
    return str(path)


@pytest.mark.parametrize("shape", [lambda path: path, lambda path: (path, path)])
def test_a_client_certificate_is_loaded(
    authority: Authority, tmp_path: Path, shape: Callable[[str], str | tuple[str, str]]
) -> None:
    """`cert=` is deprecated but works, as one file or as a pair."""
    path = load_client_certificate(authority, tmp_path)
    with pytest.warns(DeprecationWarning, match="cert="):
        context = create_ssl_context(authority.client_context(), shape(path))
    with Listener(say_hello, authority.server_context(wants_client_certificate=True)) as server:
        assert handshake(server, context) == b"hello"


def test_verify_as_a_path_is_deprecated_but_works(authority: Authority, tmp_path: Path) -> None:
    """A PEM file's path is taken with a warning; a directory too."""
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    with pytest.warns(DeprecationWarning, match="verify=<str>"):
        context = create_ssl_context(str(tmp_path / "ca.pem"))
    with pytest.warns(DeprecationWarning, match="verify=<str>"):
        create_ssl_context(str(tmp_path))

    with Listener(say_hello, authority.server_context()) as server:
        assert handshake(server, context) == b"hello"


def test_verify_as_a_path_excludes_cert() -> None:
    """`verify=<str>` with `cert=` is refused, as in httpx2."""
    with pytest.raises(TypeError, match="cannot be combined"):
        create_ssl_context("ca.pem", "client.pem")


def test_verify_of_another_type_is_refused() -> None:
    """A `Path`, for one, is told at once and not at the first connection."""
    with pytest.raises(TypeError, match="Path"):
        create_ssl_context(Path("ca.pem"))  # type: ignore[arg-type]  # what the test is about


def test_the_environment_names_the_roots(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE replaces the system's roots, unless `trust_env=False`."""
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "missing"))

    with Listener(say_hello, authority.server_context()) as server:
        assert handshake(server, context_for(True, None, True, H1)) == b"hello"
        assert failed_handshake(server, context_for(True, None, False, H1)).kind == "tls_untrusted"


def test_the_environment_names_a_directory_of_roots(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_DIR counts where SSL_CERT_FILE is not set."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    with Listener(say_hello, authority.server_context()) as server:
        assert failed_handshake(server, context_for(True, None, True, H1)).kind == "tls_untrusted"


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_unusable_roots_are_told_with_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """A missing or empty bundle is a ConnectError that names the variable and the file."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))

    with pytest.raises(ConnectError, match="SSL_CERT_FILE") as caught:
        context_for(True, None, True, H1)

    assert caught.value.kind == "tls_untrusted"
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("verify", [True, False])
def test_the_key_log_is_written(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verify: bool
) -> None:
    """SSLKEYLOGFILE is honoured with and without verification."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    context = create_ssl_context(verify)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with Listener(say_hello, authority.server_context()) as server:
        handshake(server, context)

    assert "SECRET" in (tmp_path / "keys.log").read_text()


def test_the_key_log_needs_trust_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `trust_env=False` no variable makes us write keys to a file."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    create_ssl_context(True, trust_env=False)

    assert not (tmp_path / "keys.log").exists()


def test_contexts_are_shared_by_setting(monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path) -> None:
    """Equal settings give the same object; another ALPN list, verify or environment gives another."""
    shared = context_for(True, None, True, H1)

    assert context_for(True, None, True, H1) is shared
    assert context_for(True, None, True, ("h2", "http/1.1")) is not shared
    assert context_for(False, None, True, H1) is not shared

    (tmp_path / "ca.pem").write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    assert context_for(True, None, True, H1) is not shared


def test_a_created_context_is_the_callers_own() -> None:
    """What `create_ssl_context` gives may be changed without changing anybody else's."""
    assert create_ssl_context(False) is not create_ssl_context(False)


def test_shared_contexts_are_bounded() -> None:
    """A process that keeps changing its settings does not keep every context."""
    for number in range(tls._MAX_SHARED + 5):
        context_for(False, None, False, (f"p{number}",))

    assert len(tls._shared) == tls._MAX_SHARED


def test_threads_that_ask_together_get_one_context() -> None:
    """A first burst of connections loads the roots once."""
    barrier = threading.Barrier(8)
    found: list[ssl.SSLContext] = []

    def ask() -> None:
        barrier.wait(10)
        found.append(context_for(True, None, False, H1))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(found) == 8
    assert len(set(map(id, found))) == 1


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(("http/1.1",), "http/1.1"), (("h2", "http/1.1"), "h2"), (("h2",), "h2")],
)
def test_alpn_is_offered_on_the_users_own_context(authority: Authority, offered: tuple[str, ...], chosen: str) -> None:
    """A context of the user is used itself, with our ALPN list, also when the list changes."""
    own = authority.client_context()
    context_for(own, None, True, ("something", "else"))
    context = context_for(own, None, True, offered)

    assert context is own
    with (
        Listener(say_hello, authority.server_context(alpn=("h2", "http/1.1"))) as server,
        socket.create_connection((server.host, server.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as encrypted,
    ):
        assert encrypted.selected_alpn_protocol() == chosen
