"""zstd (RFC 8878) as the codecs use it: one frame without magic number, content size, checksum or dictionary id, behind a raw dictionary."""

from __future__ import annotations

import functools
from typing import Final

import zstandard

from ocppress_codecs.errors import Malformed

__all__ = ["expanded", "packed"]

_LEVEL: Final = 19

_FRAME_HEADER: Final = b"\x00"
"""Frame_Header_Descriptor: no content size, checksum or dictionary id, window size in the next byte."""

_WINDOW_BYTES_MAX: Final = 4 * 1024 * 1024
"""Memory that a frame may ask of zstd's decoder: the largest text and its dictionary, as a power of two."""


def packed(data: bytes, dictionary: bytes, level: int = _LEVEL) -> bytes:
    """`data` as one zstd frame."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=len(data),
        dict_size=len(dictionary),
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )
    return zstandard.ZstdCompressor(dict_data=_raw(dictionary), compression_params=parameters).compress(data)


def expanded(frame: bytes, dictionary: bytes, limit: int) -> bytes:
    """The reverse of `packed`, for a frame from outside. Raises `Malformed` for anything else than one frame of at most `limit` bytes of data."""
    if frame[:1] != _FRAME_HEADER:
        raise Malformed("a zstd frame header with other fields than the window size")
    decompressor = zstandard.ZstdDecompressor(
        dict_data=_raw(dictionary), max_window_size=_WINDOW_BYTES_MAX, format=zstandard.FORMAT_ZSTD1_MAGICLESS
    )
    try:
        data = decompressor.decompress(frame, max_output_size=max(limit, 1))
        # Only where the room is just enough does the library look whether something follows.
        return decompressor.decompress(frame, max_output_size=max(len(data), 1), allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Malformed(f"zstd: {error}") from None


@functools.lru_cache(1)
def _raw(dictionary: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
