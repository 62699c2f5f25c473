"""TLS of the link: 1.3 only, a private CA, certificates at both ends, and nothing in the handshake that only costs bytes.

The savings: X25519 alone (a hybrid key share is 1.2 kB each way), no middlebox compatibility mode (a fake change-cipher-spec at either
end), no padding of the ClientHello, AES-128 with SHA-256 first (16 bytes less than SHA-384 wherever there is a hash), and sessions that are
resumed: certificates cross the link at the first connection of two programs, and again after a week. Verification is never part of a saving.

    full       ClientHello ─►  ◄─ ServerHello, certificate        certificate ─►   ◄─ ticket
    resumed    ClientHello with the ticket ─►  ◄─ ServerHello     Finished ─►      ◄─ ticket

The server keeps the session, the ticket is its number (*stateful*): 79 bytes each time, where one with the session inside has the edge's
certificate in it, too, and crosses the link twice. OpenSSL forgets such a session if its connection ends without a close_notify, which is how
cellular connections end; `keep_session` says one to nobody. A session in memory knows the certificates of its first handshake, so who
accepts a resumed one has to look at them again: `certificate_of`, and `core.certificate`.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ocppress_gateway.core.certificate import Certificate, read_certificate
from ocppress_gateway.errors import ConfigError
from ocppress_gateway.transports.openssl import send_leaf_only, set_cipher_suites, set_group, set_session_cache
from ocppress_gateway.transports.psk import NamedByKey

__all__ = [
    "ResumingContext",
    "ServerContext",
    "certificate_in",
    "certificate_of",
    "csms_client_context",
    "keep_session",
    "link_client_context",
    "link_server_context",
    "owner",
    "station_server_context",
]

_KEY_EXCHANGE: Final = "X25519"
_OP_TLSEXT_PADDING: Final = 0x10
"""Pads a ClientHello of 256 to 511 bytes to 512, for a load balancer of 2013 (RFC 7685). Python sets it within SSL_OP_ALL and has no name
for it."""


_CIPHER_SUITES: Final = ("TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384")

_SESSION_S: Final = 7 * 24 * 3600
"""How long a session can be resumed: the most that RFC 8446 4.6.1 allows. OpenSSL's default of 2 hours is over before a link is lost."""

_SESSIONS_MAX: Final = 40_000
"""Sessions that a cloud remembers, about 2 kB each, the oldest forgotten first. Each connection makes a new one; only an edge's last counts."""


class ResumingContext(ssl.SSLContext):
    """A client's context, for one server, that resumes the session of its last connection. Threads must not share it."""

    _session: ssl.SSLSession | None = None
    resumes = True
    """Turned off where a ticket would be offered besides something better."""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As `SSLContext.wrap_bio`, which asyncio calls, with the session remembered."""
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or self._session)

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """As `SSLContext.wrap_socket`, for who reads and writes by himself, with the session remembered."""
        return super().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session or self._session
        )

    def remember(self, connection: ssl.SSLObject | ssl.SSLSocket) -> None:
        """Take its session; not before the first data from the server, which TLS 1.3's ticket comes in front of."""
        if self.resumes and connection.session is not None and connection.session.has_ticket:
            self._session = connection.session

    def forget(self) -> None:
        """The next handshake is a full one."""
        self._session = None

    def use(self, certificate_file: Path, key_file: Path) -> None:
        """From the next connection on this is the client's certificate; the session of the one before has that in it. Raises `ConfigError`."""
        _load_certificate(self, certificate_file, key_file)
        self.forget()


class ServerContext(ssl.SSLContext):
    """A server's context that tells why certificates aren't accepted; asyncio keeps it to itself, and OpenSSL whose they were."""

    not_accepted: Callable[[str], None] | None = None


class _ServerObject(NamedByKey):
    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            if isinstance(self.context, ServerContext) and self.context.not_accepted is not None:
                self.context.not_accepted(error.verify_message)
            raise


def link_client_context(*, ca_file: Path, certificate_file: Path, key_file: Path) -> ResumingContext:
    """The edge's end: checks the cloud's certificate and host name against the private CA alone. Raises `ConfigError`."""
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies, and checks host names, by default
    _set_link_options(context, ca_file, certificate_file, key_file)
    return context


def link_server_context(*, ca_file: Path, certificate_file: Path, key_file: Path) -> ServerContext:
    """The cloud's end: requires a certificate of the private CA from every edge. Raises `ConfigError`."""
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _ServerObject
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 1
    context.options |= ssl.OP_NO_TICKET  # under TLS 1.3: a stateful one
    set_session_cache(context, lifetime_s=_SESSION_S, sessions_max=_SESSIONS_MAX)
    set_cipher_suites(context, _CIPHER_SUITES)
    _set_link_options(context, ca_file, certificate_file, key_file)
    return context


def station_server_context(*, certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """The edge's end towards stations, which may be old: TLS 1.2, the least that OCPP's security profile 2 allows, or 1.3. Raises
    `ConfigError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_certificate(context, certificate_file, key_file)
    return context


def csms_client_context(*, ca_file: Path | None, certificate_file: Path | None = None, key_file: Path | None = None) -> ssl.SSLContext:
    """The cloud's end towards a CSMS: TLS 1.2 or 1.3, host name checked, certificates of `ca_file`, or of the system's CAs without it.

    With `certificate_file` and its key the cloud has a certificate to show (security profile 3). Raises `ConfigError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
    else:
        _load_ca(context, ca_file)
    if certificate_file is not None and key_file is not None:
        _load_certificate(context, certificate_file, key_file)
    return context


def keep_session(connection: ssl.SSLObject | None) -> None:
    """For a server's connection that has ended, however: the client may resume its session. None for one without TLS."""
    if connection is not None:
        with contextlib.suppress(ssl.SSLError):
            connection.unwrap()


def certificate_of(connection: ssl.SSLObject | ssl.SSLSocket | None) -> Certificate | None:
    """The far end's verified certificate, None without. Raises `ssl.SSLError` for one whose fields can't be read."""
    der = None if connection is None else connection.getpeercert(binary_form=True)
    try:
        return None if der is None else read_certificate(der)
    except ValueError as error:
        raise ssl.SSLError(f"certificate not accepted: {error}") from error


def certificate_in(file: Path) -> Certificate | None:
    """The first certificate in a PEM file; None if there is no such file, or none that can be read."""
    try:
        text = file.read_text(encoding="ascii")
        start, end = text.index(ssl.PEM_HEADER), text.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)
        return read_certificate(ssl.PEM_cert_to_DER_cert(text[start:end]))
    except (OSError, ValueError):
        return None


def owner(connection: ssl.SSLObject | ssl.SSLSocket | None, certificate: Certificate | None) -> str:
    """Who is at the far end of a connection, by its pre-shared key or its verified certificate; "" without TLS."""
    by_key = connection.name if isinstance(connection, NamedByKey) else ""
    return by_key or ("" if certificate is None else certificate.name)


def _set_link_options(context: ssl.SSLContext, ca_file: Path, certificate_file: Path, key_file: Path) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if not set_group(context, _KEY_EXCHANGE):
        with contextlib.suppress(ssl.SSLError):  # without it, it only costs more
            context.set_ecdh_curve(_KEY_EXCHANGE)
    context.options &= ~(ssl.OP_ENABLE_MIDDLEBOX_COMPAT | _OP_TLSEXT_PADDING)
    send_leaf_only(context)
    _load_ca(context, ca_file)
    _load_certificate(context, certificate_file, key_file)


def _load_ca(context: ssl.SSLContext, ca_file: Path) -> None:
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(ca_file, "", f"cannot be used as CA certificate: {error}") from error


def _load_certificate(context: ssl.SSLContext, certificate_file: Path, key_file: Path) -> None:
    try:
        context.load_cert_chain(certificate_file, key_file, password=_no_password)
    except OSError as error:
        raise ConfigError(certificate_file, "", f"cannot be used with the key {key_file}: {error}") from error


def _no_password() -> str:
    """Instead of OpenSSL's question on the terminal."""
    return ""
