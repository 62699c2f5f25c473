"""What the programs have to know of a certificate of the link: whose it is, its key, and from when to when.

OpenSSL verifies certificates, and `cryptography` makes them and checks renewals. Here is only the reading of a few fields of a certificate that is
trusted already, because an edge on a small board has no room for a second cryptographic library that it needs once in years.

    Certificate 30      TBSCertificate 30   [0] version, serial 02, algorithm 30, issuer 30,
                                            validity 30 (times 17 or 18), subject 30, subjectPublicKeyInfo 30, …     (RFC 5280 4.1)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

__all__ = ["CERTIFICATE_BYTES_MAX", "Certificate", "read_certificate", "weeks_left"]

CERTIFICATE_BYTES_MAX: Final = 1024
"""Of a renewed certificate that crosses the link: those of `ocppress ca` have 300 to 350 bytes, others' with longer names and more extensions twice that."""

_RENEWED_AFTER: Final = 2 / 3
"""Of its life: the last third, twenty months of five years, is what an edge may be away for and still get its next certificate."""

_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_INTEGER: Final = 0x02
_OBJECT_IDENTIFIER: Final = 0x06
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_TEXTS: Final = frozenset({0x0C, 0x13, 0x16})
"""UTF8String, PrintableString, IA5String."""

_COMMON_NAME: Final = bytes.fromhex("550403")


@dataclass(frozen=True, slots=True)
class Certificate:
    """`name` is its common name, "" where it has not exactly one; `public_key` its SubjectPublicKeyInfo in DER."""

    name: str
    serial: int
    public_key: bytes = field(repr=False)
    starts_unix_s: float
    ends_unix_s: float

    @property
    def key_print(self) -> str:
        """The SHA-256 of its key in hexadecimal: what all certificates of an edge have in common, and what is revoked."""
        return hashlib.sha256(self.public_key).hexdigest()

    @property
    def serial_hex(self) -> str:
        """The serial number as `openssl x509 -serial` writes it, in lower case."""
        return f"{self.serial:02x}"

    @property
    def renew_from_unix_s(self) -> float:
        """When it should be renewed: after two thirds of its life."""
        return self.starts_unix_s + _RENEWED_AFTER * (self.ends_unix_s - self.starts_unix_s)

    def is_over(self, unix_s: float) -> bool:
        """Whether it has ended; what a full TLS handshake checks, and a resumed one doesn't."""
        return unix_s > self.ends_unix_s

    def renews(self, old: Certificate) -> bool:
        """Whether this is the same edge's with the same key, and lasts longer."""
        return self.name == old.name and self.public_key == old.public_key and self.ends_unix_s > old.ends_unix_s


def weeks_left(certificate: Certificate, unix_s: float) -> int:
    """Whole weeks until it ends: what is warned of once in each."""
    return int((certificate.ends_unix_s - unix_s) // (7 * 86_400))


def read_certificate(der: bytes) -> Certificate:
    """The fields of a certificate in DER that has been verified, or is one's own. Raises `ValueError` if it isn't one."""
    signed = _Reader(_Reader(der).take(_SEQUENCE)[1]).take(_SEQUENCE)[1]
    fields = _Reader(signed)
    if fields.next_is(_VERSION):
        fields.take(_VERSION)
    serial = int.from_bytes(fields.take(_INTEGER)[1], "big", signed=True)
    fields.take(_SEQUENCE)
    fields.take(_SEQUENCE)
    validity = _Reader(fields.take(_SEQUENCE)[1])
    starts, ends = _time(*validity.take(_UTC_TIME, _GENERALIZED_TIME)), _time(*validity.take(_UTC_TIME, _GENERALIZED_TIME))
    names = _common_names(fields.take(_SEQUENCE)[1])
    public_key = fields.rest(_SEQUENCE)
    return Certificate(names[0] if len(names) == 1 else "", serial, public_key, starts, ends)


def _common_names(subject: bytes) -> list[str]:
    names: list[str] = []
    distinguished = _Reader(subject)
    while distinguished.left:
        relative = _Reader(distinguished.take(_SET)[1])
        while relative.left:
            pair = _Reader(relative.take(_SEQUENCE)[1])
            if pair.take(_OBJECT_IDENTIFIER)[1] == _COMMON_NAME:
                names.append(pair.take(*_TEXTS)[1].decode())
    return names


def _time(tag: int, content: bytes) -> float:
    """RFC 5280 4.1.2.5: in UTC, with seconds and without fractions; two digits of a year mean 1950 to 2049."""
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


class _Reader:
    """Takes values off the front of DER (X.690 8.1, 10.1)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def next_is(self, tag: int) -> bool:
        return self.left > 0 and self._data[self._at] == tag

    def take(self, *tags: int) -> tuple[int, bytes]:
        """The next value's tag, which must be one of these, and its content."""
        head = self._data[self._at : self._at + 2]
        if len(head) < 2 or head[0] not in tags:
            raise ValueError("not a certificate in DER")
        start = self._at + 2
        length = head[1]
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(self._data[start : start + count], "big")
            start += count
            if not 1 <= count <= 2:  # X.690 has longer ones; a certificate of 64 KiB has no place here
                raise ValueError("not a certificate in DER, or a very large one")
        end = start + length
        if end > len(self._data):
            raise ValueError("a certificate in DER that is cut off")
        self._at = end
        return head[0], self._data[start:end]

    def rest(self, tag: int) -> bytes:
        """The next value, its tag and length included."""
        start = self._at
        self.take(tag)
        return self._data[start : self._at]
