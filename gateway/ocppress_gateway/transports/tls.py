"""TLS of the link: 1.3 only, a private CA, certificates at both ends, and nothing in the handshake that only costs bytes.

The savings: X25519 alone (a hybrid key share is 1.2 kB each way), no middlebox compatibility mode (a fake change-cipher-spec at either
end), no padding of the ClientHello, no session tickets while nothing resumes sessions. Verification is never part of a saving.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from ocppress_gateway.errors import ConfigError

__all__ = ["csms_client_context", "link_client_context", "link_server_context", "peer_name", "station_server_context"]

_KEY_EXCHANGE: Final = "X25519"
_OP_TLSEXT_PADDING: Final = 0x10
"""Pads a ClientHello of 256 to 511 bytes to 512, for a load balancer of 2013 (RFC 7685). Python sets it within SSL_OP_ALL and has no name
for it."""


def link_client_context(*, ca_file: Path, certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """The edge's end: checks the cloud's certificate and host name against the private CA alone. Raises `ConfigError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies, and checks host names, by default
    _set_link_options(context, ca_file, certificate_file, key_file)
    return context


def link_server_context(*, ca_file: Path, certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """The cloud's end: requires a certificate of the private CA from every edge. Raises `ConfigError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    _set_link_options(context, ca_file, certificate_file, key_file)
    return context


def station_server_context(*, certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """The edge's end towards stations, which may be old: TLS 1.2, the least that OCPP's security profile 2 allows, or 1.3. Raises
    `ConfigError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_certificate(context, certificate_file, key_file)
    return context


def csms_client_context(*, ca_file: Path) -> ssl.SSLContext:
    """The cloud's end towards a CSMS with a certificate of its own CA: TLS 1.2 or 1.3, host name checked. Raises `ConfigError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_ca(context, ca_file)
    return context


def peer_name(certificate: dict[str, object] | None) -> str:
    """The common name in a verified certificate, as `getpeercert` gives it; "" without one, or where it has not exactly one."""
    subject = (certificate or {}).get("subject", ())
    assert isinstance(subject, tuple), "getpeercert gives a tuple of relative distinguished names"
    names = [value for relative_name in subject for key, value in relative_name if key == "commonName"]
    return str(names[0]) if len(names) == 1 else ""


def _set_link_options(context: ssl.SSLContext, ca_file: Path, certificate_file: Path, key_file: Path) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_ecdh_curve(_KEY_EXCHANGE)
    context.options &= ~(ssl.OP_ENABLE_MIDDLEBOX_COMPAT | _OP_TLSEXT_PADDING)
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
