"""The messages that both ends know from the start, so that first sight is cheap: `data/dictionary-1.cbor`.

    82                array of 2
       59 ....  ...   bytes: messages of OCPP 1.6
       59 ....  ...   bytes: messages of OCPP 2.0.1 and 2.1

Each is a CBOR sequence as in a frame (`messages`); an epoch begins as if it had been received. `bench/training/dictionary.py` makes it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

from ocppress_codecs import cbor
from ocppress_codecs.names import packaged
from ocppress_codecs.rpc import OcppVersion

__all__ = ["Dictionary", "shipped"]

_FILE: Final = "dictionary-1.cbor"


@dataclass(frozen=True, slots=True)
class Dictionary:
    """One sequence of messages for OCPP 1.6 and one for 2.x."""

    v16: bytes = b""
    v2: bytes = b""

    def for_version(self, version: OcppVersion) -> bytes:
        """The sequence that a station of this version begins with."""
        return self.v16 if version is OcppVersion.V16 else self.v2

    @property
    def data(self) -> bytes:
        """The content of the file."""
        parts = [cbor.head(cbor.BYTES, len(part)) + part for part in (self.v16, self.v2)]
        return cbor.head(cbor.ARRAY, len(parts)) + b"".join(parts)


@functools.cache
def shipped() -> Dictionary:
    """The dictionary that comes with this package."""
    reader = cbor.Reader(packaged(_FILE))
    assert reader.head() == (cbor.ARRAY, 2), "not a dictionary"
    v16, v2 = (reader.bytes(reader.head()[1]) for _ in range(2))
    return Dictionary(v16, v2)
