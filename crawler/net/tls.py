"""TLS contexts: which roots are trusted, one shared context per setting, and what a failed handshake means.

Reading a bundle of root certificates takes 15 to 20 ms (144 certificates, OpenSSL 3.0), so it happens at the first TLS
connection and once per process, never when a client is made:

    verify                        context
    True                          shared; roots from SSL_CERT_FILE, else SSL_CERT_DIR, else the system, else certifi
    False                         shared; nothing is verified
    an `ssl.SSLContext`           that very object; only its ALPN list is set, as HTTPX does
    a path, or any with `cert=`   private to the caller (deprecated, as in HTTPX)

This file does no network I/O: handshakes are the business of the networks.
"""

from __future__ import annotations

import errno
import os
import ssl
import sys
import threading
from weakref import WeakKeyDictionary

from crawler.errors import ConnectError
from crawler.models.deprecation import warn_deprecated

CertTypes = str | tuple[str, str] | tuple[str, str, str]
"""A client certificate: PEM file with certificate and key, or (certificate, key), or (certificate, key, password)."""

# Each entry is a set of parsed roots (about 1 MB). More settings than this in one process means an environment that
# keeps changing; the oldest context is then dropped and made again if needed.
_MAX_SHARED = 16

# Where distributions keep their bundle, for builds of OpenSSL whose compiled-in paths do not exist on this machine.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

_SharedKey = tuple[bool, str | None, str | None, str | None, tuple[str, ...]]

_lock = threading.Lock()
_shared: dict[_SharedKey, ssl.SSLContext] = {}
_offered: WeakKeyDictionary[ssl.SSLContext, tuple[str, ...]] = WeakKeyDictionary()


def create_ssl_context(
    verify: ssl.SSLContext | str | bool = True,
    cert: CertTypes | None = None,
    trust_env: bool = True,
) -> ssl.SSLContext:
    """Make the context that `verify` and `cert` describe; a new one each time, free to be changed.

    Args:
        verify: True for the usual roots (see the module's text), False for no verification at all, a context to use
            as it is, or (deprecated) the path of a PEM file or of a directory of hashed certificates.
        cert: Deprecated; a client certificate to load.
        trust_env: Whether `SSL_CERT_FILE`, `SSL_CERT_DIR` and `SSLKEYLOGFILE` count.

    Raises:
        TypeError: `verify` is a path and `cert` is given too, or `verify` is none of the above.
        OSError: A named file is missing or holds no certificate (`ssl.SSLError` is an `OSError`).
    """
    if isinstance(verify, str):
        if cert:
            raise TypeError(
                "`verify=<str>` cannot be combined with `cert=...`. Build an `ssl.SSLContext`, call its "
                "`.load_cert_chain()`, and pass it as `verify=<ssl_context>`."
            )
        warn_deprecated(
            "`verify=<str>` is deprecated. Use `verify=ssl.create_default_context(cafile=...)` "
            "or `verify=ssl.create_default_context(capath=...)` instead."
        )
        return _context_from_path(verify, "verify")
    if verify is True:
        context = _verifying_context(trust_env)
    elif verify is False:
        context = _plain_context(trust_env)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif isinstance(verify, ssl.SSLContext):
        context = verify
    else:
        raise TypeError(f"verify must be True, False, an ssl.SSLContext or a str path, not {type(verify).__name__}.")
    if cert:
        warn_deprecated(
            "`cert=...` is deprecated. Use `verify=<ssl_context>` instead, "
            "with `.load_cert_chain()` to configure the certificate chain."
        )
        if isinstance(cert, str):
            context.load_cert_chain(cert)
        else:
            context.load_cert_chain(*cert)
    return context


def context_for(
    verify: ssl.SSLContext | str | bool,
    cert: CertTypes | None,
    trust_env: bool,
    alpn: tuple[str, ...],
) -> ssl.SSLContext:
    """Give the context for one connection: the shared one where `verify` is a bool, so that asking is cheap.

    Safe to call from any thread. Call it when a TLS connection is due, not when a client is made. A path in `verify`,
    or a `cert`, makes a private context at each call: the client makes that one itself, once, by
    `create_ssl_context`, and passes it here as `verify`.

    Args:
        alpn: Protocols to offer, best first, for example `("h2", "http/1.1")`.

    Raises:
        ConnectError: The roots cannot be loaded (kind `tls_untrusted`); the message names the variable.
    """
    if isinstance(verify, bool) and not cert:
        return _shared_context(verify, trust_env, alpn)
    context = create_ssl_context(verify, cert, trust_env)
    _offer(context, alpn)
    return context


def _shared_context(verify: bool, trust_env: bool, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """Look up or make the process-wide context of these settings and of today's environment."""
    get = os.environ.get
    environment = (get("SSL_CERT_FILE"), get("SSL_CERT_DIR"), get("SSLKEYLOGFILE")) if trust_env else (None, None, None)
    key = (verify, *environment, alpn)
    context = _shared.get(key)
    if context is not None:
        return context
    with _lock:
        context = _shared.get(key)  # another thread may have made it while this one waited
        if context is None:
            try:
                context = create_ssl_context(verify, None, trust_env)
            except OSError as exc:
                raise ConnectError(f"The TLS set-up failed: {exc}", kind="tls_untrusted") from exc
            context.set_alpn_protocols(list(alpn))
            if len(_shared) >= _MAX_SHARED:
                del _shared[next(iter(_shared))]
            _shared[key] = context
    return context


def _offer(context: ssl.SSLContext, alpn: tuple[str, ...]) -> None:
    """Set the ALPN list of a user's context, unless it is the one set last.

    OpenSSL frees the old list without a lock, so setting it again while another thread starts a handshake on the same
    context is to be avoided.
    """
    with _lock:
        if _offered.get(context) != alpn:
            context.set_alpn_protocols(list(alpn))
            _offered[context] = alpn


def _verifying_context(trust_env: bool) -> ssl.SSLContext:
    """Make a verifying context with the roots of the environment, else of the system."""
    if trust_env:
        for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            path = os.environ.get(variable)
            if path:
                return _context_from_path(path, variable)
    return _system_context(trust_env)


def _context_from_path(path: str, named_by: str) -> ssl.SSLContext:
    """Make a verifying context from a PEM file or a directory; an error says which setting named it."""
    try:
        if os.path.isdir(path):
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError as exc:
        raise ssl.SSLError(exc.errno, f"{named_by}={path} holds no usable certificates ({exc.reason})") from exc
    except FileNotFoundError as exc:  # the ssl module does not say which file
        raise FileNotFoundError(errno.ENOENT, f"No such file or directory, named by {named_by}", path) from exc


def _plain_context(trust_env: bool) -> ssl.SSLContext:
    """Make a client context without roots: TLS 1.2 or later, names checked, keys logged if asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    keylog = os.environ.get("SSLKEYLOGFILE") if trust_env and not sys.flags.ignore_environment else None
    if keylog:
        context.keylog_filename = keylog
    return context


def _system_context(trust_env: bool) -> ssl.SSLContext:
    """Make a context that trusts what the system trusts.

    Windows and macOS keep their roots behind an API: truststore asks it at each handshake. Elsewhere they are files,
    which are loaded once here; truststore would add them again at every handshake, and OpenSSL before 3.4 keeps each
    copy of the paths, so memory and time would grow with the number of connections.
    """
    if sys.platform in ("win32", "darwin"):
        return _truststore_context()
    context = _plain_context(trust_env)
    cafile, capath = _system_roots()
    if cafile is None and capath is None:
        import certifi

        cafile = certifi.where()
    context.load_verify_locations(cafile, capath)
    return context


def _truststore_context() -> ssl.SSLContext:
    """Make a context that asks the operating system, or one with certifi's roots where truststore is missing."""
    try:
        import truststore
    except ImportError:
        import certifi

        return ssl.create_default_context(cafile=certifi.where())
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _system_roots() -> tuple[str | None, str | None]:
    """Find the system's bundle file and hashed directory; (None, None) where there is neither.

    OpenSSL's compiled-in paths are taken, not its defaults: those read `SSL_CERT_*` even with `trust_env=False`.
    """
    paths = ssl.get_default_verify_paths()
    cafile = paths.openssl_cafile if os.path.isfile(paths.openssl_cafile) else None
    capath = paths.openssl_capath if _is_hashed_directory(paths.openssl_capath) else None
    if cafile is None and capath is None:
        cafile = next((path for path in _BUNDLES if os.path.isfile(path)), None)
    return cafile, capath


def _is_hashed_directory(path: str) -> bool:
    """Whether OpenSSL finds certificates there: files named by the hash of their subject, as `5ed36f99.0`."""
    try:
        names = os.listdir(path)
    except OSError:
        return False
    return any(len(name) == 10 and name[8] == "." and name[9].isdigit() for name in names)


# OpenSSL's X509_V_ERR_* codes; all others mean that the chain does not end at a trusted root.
_EXPIRED = {9, 10, 11, 12}  # certificate or revocation list not yet, or no longer, valid
_WRONG_NAME = {62, 64}  # host name, IP address

# What servers that do not speak TLS on this port make OpenSSL say.
_NOT_TLS = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
}
_WANTS_CERTIFICATE = {"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE", "TLSV1_ALERT_UNKNOWN_CA"}
_NO_COMMON_VERSION = {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"}


def tls_error(exc: ssl.SSLError, host: str) -> ConnectError:
    """Translate a failed handshake with `host`; the caller raises the result `from exc`.

    Kinds: `tls_untrusted`, `tls_expired`, `tls_hostname`, `tls_protocol`; and `connect_reset` where the peer hung up
    without saying why, which is the one a retry may help.
    """
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _certificate_error(exc, host)
    if isinstance(exc, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return handshake_cut(exc, host)
    reason = (exc.reason or str(exc)).upper().replace(" ", "_")  # names the ssl module does not know come as text
    if reason in _NOT_TLS:
        advice = "the port does not speak TLS; is it an http:// address?"
    elif reason in _WANTS_CERTIFICATE:
        advice = "the server asks for a client certificate; load one with `ssl_context.load_cert_chain()`."
    elif reason in _NO_COMMON_VERSION:
        advice = "no TLS version in common; the server is older than TLS 1.2 or newer than this OpenSSL."
    elif "ALERT" in reason:
        advice = "the server refused the handshake by an alert."
    else:
        advice = "the peer's bytes are not the TLS handshake that was expected."
    return ConnectError(f"The TLS handshake with {host} failed ({reason}): {advice}", kind="tls_protocol")


def was_cut(engine: ssl.SSLObject | None) -> bool:
    """Whether a TLS connection that has ended did so without the peer's good-bye; of a plain one nobody can tell.

    Event loops tell no difference. But the engine does: once it has met a close_notify, there is nothing more to read;
    otherwise it would wait for more.

    Args:
        engine: All that came has been read from it.

    Source: RFC 8446 §6.1.
    """
    if engine is None:
        return False
    try:
        engine.read(1)
    except ssl.SSLZeroReturnError:
        return False
    except ssl.SSLError:
        return True
    return False


def handshake_cut(exc: Exception, host: str) -> ConnectError:
    """Say that `host` hung up within the handshake; the caller raises the result `from exc`."""
    return ConnectError(f"{host} closed the connection during the TLS handshake ({exc}).", kind="connect_reset")


def _certificate_error(exc: ssl.SSLCertVerificationError, host: str) -> ConnectError:
    """Say what is wrong with the certificate, and what can be done about it."""
    code = getattr(exc, "verify_code", 0)  # absent where a verifier in Python raises the bare class
    reason = (getattr(exc, "verify_message", "") or str(exc)).rstrip(".")
    lower = reason.lower()  # the system verifiers of Windows and macOS have codes of their own
    if code in _EXPIRED or "expired" in lower or "not yet valid" in lower:
        kind, advice = "tls_expired", "the server must renew it; check this machine's clock too."
    elif code in _WRONG_NAME or "hostname mismatch" in lower or "name does not match" in lower:
        kind, advice = "tls_hostname", "the certificate belongs to another name."
    else:
        kind = "tls_untrusted"
        advice = (
            "to trust a private authority, pass `verify=ssl.create_default_context(cafile=...)` or set SSL_CERT_FILE."
        )
    return ConnectError(f"The certificate of {host} was not accepted ({reason}): {advice}", kind=kind)
