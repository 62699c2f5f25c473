"""Makes `codecs/vectors/*.json`: frames and their messages, for implementers in any language. `codecs/README.md` says how to read them.

Sessions show what an encoder writes and a decoder must give, in both directions; acceptances what a decoder takes besides. Rejections show what it
must refuse, after the frames of `after`, with which error, and that it goes on as if nothing had been.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import zstandard

from bench.training.forged import forgeries, lenient
from bench.training.sessions import Session, Step, for_adaptive, for_all
from bench.training.vector_parts import parts, trace
from ocppress_codecs import cbor
from ocppress_codecs.calls import CallLog
from ocppress_codecs.carriage import Progress, checksum
from ocppress_codecs.dictionary import Dictionary, shipped
from ocppress_codecs.errors import DecodeError
from ocppress_codecs.interface import CodecName, Decoder, Endpoint, Side
from ocppress_codecs.registry import fingerprint, open_endpoint
from ocppress_codecs.rpc import Message, OcppVersion, parse
from ocppress_gateway.workloads.traces import Direction

__all__ = ["PARTS", "SPECIFICATION", "TRACE", "VECTORS_FOLDER", "main", "text_of", "vectors_text", "with_trace"]

VECTORS_FOLDER: Final = Path(__file__).parents[2] / "codecs/vectors"

PARTS: Final = "adaptive-parts"
TRACE: Final = "adaptive-trace"

SPECIFICATION: Final = VECTORS_FOLDER.parent / "SPEC.md"

_STATE_BYTES: Final = 16

_TRACED_LINE: Final = re.compile(
    r"^    (?:frame (?P<place>\d+): [0-9a-f]*|(?P<told>(?:5\.\d|   ).{53})(?:bit|pair|raw|character) .*)$", re.MULTILINE
)
"""A frame, or one of its decisions behind 56 characters that say what it is."""

_HEARTBEAT: Final = '[2,"a","Heartbeat",{}]'

_MESSAGES: Final = {
    # after one Heartbeat, whose shape is the one used last
    "empty": ("", "truncated"),
    "array that ends early": ("8302", "truncated"),
    "text that ends early": ("830265416263", "truncated"),
    "indefinite length": ("9f02cd00a0ff", "malformed"),
    "float": ("8203fb3ff0000000000000", "malformed"),
    "reserved information": ("1c", "malformed"),
    "message type 7": ("8207a0", "malformed"),
    "a text as message": ("6161", "malformed"),
    "reference 0": ("8100" + "8203a0", "malformed"),
    "CALL with a reference": ("810200", "malformed"),
    "two references": ("810181018203a0", "malformed"),
    "answer to a negative CALL": ("81038203a0", "malformed"),
    "payload that is not an object": ("820380", "malformed"),
    "CALL without payload": ("8202cd02", "malformed"),
    "shape that is not there": ("01", "malformed"),
    "changes of a shape without values": ("2001", "malformed"),
    "word that is not there": ("8203a101cd19ffff", "malformed"),
    "member name that is not there": ("8203a119ffff01", "malformed"),
    "member name that is a number": ("8203a1cc613101", "malformed"),
    "token with white space": ("8203a101cc622031", "malformed"),
    "token that is two": ("8203a101cc63312c32", "malformed"),
    "tag 0": ("8203a101c06161", "malformed"),
    "UUID of 15 bytes": ("8203a101d8254f" + "00" * 15, "malformed"),
    "19 fraction digits": ("8203a101c4823201", "malformed"),
    "timestamp after 2106": ("8203a101c81b0000000200000000", "malformed"),
    "string that is not remembered": ("8203a101c600", "malformed"),
    "text that is not UTF-8": ("8203a10161ff", "malformed"),
    "body with white space": ("8203437b207d", "malformed"),
    "body that is two messages": ("8203467b7d5d2c5b31", "malformed"),
    "json deeper than 64": ("8203a101" + "81" * 64 + "01", "limit"),
    "more text than allowed": ("8203a1019a00020000" + "ec" * 0x20000, "limit"),
}


def main() -> None:
    """Write the files."""
    for name in CodecName:
        (VECTORS_FOLDER / f"{name}.json").write_text(vectors_text(name))
    (VECTORS_FOLDER / f"{PARTS}.json").write_text(text_of(parts()))
    traced = trace()
    (VECTORS_FOLDER / f"{TRACE}.json").write_text(text_of(traced))
    SPECIFICATION.write_text(with_trace(SPECIFICATION.read_text(), traced))


def vectors_text(name: CodecName) -> str:
    """The content of `{name}.json`."""
    return text_of(
        {
            "codec": name.value,
            "fingerprint": fingerprint(name).hex(),
            "sessions": list(_sessions(name)),
            "acceptances": [_acceptance(name, title, frame) for title, frame in _ACCEPTED[name]()],
            "rejections": list(_REJECTIONS[name]()),
        }
    )


def with_trace(specification: str, traced: dict[str, Any]) -> str:
    """The specification with the frames and decisions of its example as they are; what it says of them stays."""
    decisions: Iterator[list[Any]] = iter(())

    def refreshed(line: re.Match[str]) -> str:
        nonlocal decisions
        if line["place"]:
            assert next(decisions, None) is None, f"more decisions than told before {line[0]}"
            frame = traced["frames"][int(line["place"])]
            decisions = iter(frame["decisions"])
            return f"    frame {line['place']}: {frame['frame']}"
        kind, what, value, *places = next(decisions)
        return f"    {line['told']}{kind:<5}{''.join(f'{place:>6}' for place in places):<13}{what:>6} {value}"

    found = _TRACED_LINE.sub(refreshed, specification)
    assert next(decisions, None) is None, "more decisions than told"
    return found


def text_of(content: dict[str, Any]) -> str:
    """JSON with a line for each thing that is small."""
    return _indented(content, "") + "\n"


def _indented(content: Any, indent: str) -> str:
    line = json.dumps(content)
    if len(line) <= 160 - len(indent) or not isinstance(content, dict | list):
        return line
    if isinstance(content, dict):
        parts = [f"{json.dumps(name)}: {_indented(value, indent + ' ')}" for name, value in content.items()]
    elif all(isinstance(value, int | str) for value in content):
        return line
    else:
        parts = [_indented(value, indent + " ") for value in content]
    opener, closer = "{}" if isinstance(content, dict) else "[]"
    return f"{opener}\n{indent} " + f",\n{indent} ".join(parts) + f"\n{indent}{closer}"


def _sessions(name: CodecName) -> Iterable[dict[str, Any]]:
    for session in for_all():
        yield _session(name, session, Dictionary(), "none")
    if name is CodecName.ADAPTIVE:
        for session in for_adaptive():
            yield _session(name, session, Dictionary(), "none")
    if name is CodecName.CBOR_ZSTD:
        for session in for_all():
            if session.name in ("values move", "types of 2.1"):
                session.name += ", with the shipped dictionary"
                yield _session(name, session, shipped(), "shipped")


def _session(name: CodecName, session: Session, dictionary: Dictionary, dictionary_name: str) -> dict[str, Any]:
    pair = _Pair(name, session.version, dictionary)
    found: dict[str, Any] = {"name": session.name, "version": session.version.value}
    if name is CodecName.CBOR_ZSTD:
        found["dictionary"] = dictionary_name
    if session.packed and name is CodecName.ADAPTIVE:
        found["packed"] = True
    return found | {"frames": [pair.carry(step) for step in session.steps]}


class _Pair:
    """Both ends."""

    def __init__(self, name: CodecName, version: OcppVersion, dictionary: Dictionary) -> None:
        self._how = name, version, dictionary
        self._begin(CallLog(), CallLog(), CallLog(), CallLog())

    def _begin(self, up: CallLog, up_received: CallLog, down: CallLog, down_received: CallLog) -> None:
        self.edge = self._opened(Side.EDGE, up, down_received)
        self.cloud = self._opened(Side.CLOUD, down, up_received)

    def _opened(self, side: Side, sent: CallLog, received: CallLog) -> Endpoint:
        name, version, dictionary = self._how
        return open_endpoint(name, version, side, sent, received, dictionary=dictionary)

    def carry(self, step: Step) -> dict[str, Any]:
        """The vector of one frame, which both ends have carried."""
        if step.new_epoch:
            self._begin(self.edge.encoder.calls, self.cloud.decoder.calls, self.cloud.encoder.calls, self.edge.decoder.calls)
        up = step.direction is Direction.UP
        encoder, decoder = (self.edge.encoder, self.cloud.decoder) if up else (self.cloud.encoder, self.edge.decoder)
        frame = encoder.encode(step.messages)
        messages = decoder.decode(frame)
        found: dict[str, Any] = {"new_epoch": True} if step.new_epoch else {}
        found |= {"direction": step.direction.value, "frame": frame.hex(), "messages": _listed(messages)}
        assert encoder.saved() == decoder.saved(), "both ends have the same state"
        return found | _state(decoder)


def _state(decoder: Decoder) -> dict[str, str]:
    saved = decoder.saved()
    return {"state": saved[-_STATE_BYTES:].hex()} if saved is not None else {}


def _listed(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"type": message.type.value, "call": message.call, "body": message.body} for message in messages]


def _rejection(name: CodecName, title: str, after: Sequence[str], frame: bytes, error: str) -> dict[str, Any]:
    """What must be refused after the messages `after`, each in a frame going up, and a frame that must be taken then."""
    pair = _Pair(name, OcppVersion.V16, Dictionary())
    steps = [Step(Direction.UP, [parse(text)[1]]) for text in (*after, _HEARTBEAT)]
    before = [pair.carry(step) for step in steps[:-1]]
    found = "taken"
    try:
        pair.cloud.decoder.decode(frame)
    except DecodeError as refused:
        found = refused.code
    assert found == error, f"{title}: {found} instead of {error}"
    return {"name": title, "after": before, "frame": frame.hex(), "error": error, "then": pair.carry(steps[-1])}


def _acceptance(name: CodecName, title: str, frame: bytes) -> dict[str, Any]:
    """What no encoder writes and a decoder must take, as the first frame going up."""
    decoder = _Pair(name, OcppVersion.V16, Dictionary()).cloud.decoder
    return {"name": title, "frame": frame.hex(), "messages": _listed(decoder.decode(frame))} | _state(decoder)


def _frame(name: CodecName) -> bytes:
    return open_endpoint(name, OcppVersion.V16, Side.EDGE, dictionary=Dictionary()).encoder.encode([parse(_HEARTBEAT)[1]])


def _cbor_rejections() -> list[dict[str, Any]]:
    before = _frame(CodecName.CBOR_ZSTD)
    packed = _packed(bytes.fromhex("8203a0"))
    cases = {title: (bytes.fromhex(content) + b"\0\0", error) for title, (content, error) in _MESSAGES.items() if len(content) < 1000}
    cases |= {
        title: (b"\xfd" + _packed(bytes.fromhex(content)) + b"\0\0", error)
        for title, (content, error) in _MESSAGES.items()
        if len(content) >= 1000
    }
    cases |= {
        "wrong checksum": (b"\x00\0\0", "integrity"),
        "checksum of 4 bytes for a short text": (b"\xfe\x00\0\0\0\0", "malformed"),
        "the first frame again": (before, "integrity"),
        "zstd with a content size": (b"\xfd\x20\x03" + packed[2:] + b"\0\0", "malformed"),
        "zstd that ends early": (b"\xfd" + packed[:-1] + b"\0\0", "malformed"),
        "zstd that goes on": (b"\xfd" + packed + b"\0\0\0", "malformed"),
        "zstd with a window of 1 GiB": (b"\xfd\x00\xa0" + packed[2:] + b"\0\0", "malformed"),
        "zstd that expands to 64 MiB": (b"\xfd" + _packed(bytes(64 * 1024 * 1024)) + b"\0\0", "malformed"),
        "more items than allowed": (
            b"\xff" + _packed(b"\x82\x03\xa1\x61a" + cbor.head(cbor.ARRAY, cbor.ITEMS_MAX) + b"\x01" * cbor.ITEMS_MAX) + bytes(4),
            "limit",
        ),
    }
    found = [_rejection(CodecName.CBOR_ZSTD, title, [_HEARTBEAT], frame, error) for title, (frame, error) in cases.items()]
    number = bytes.fromhex("20c4820005") + b"\0\0"
    return [*found, _rejection(CodecName.CBOR_ZSTD, "an action that becomes a number", ['[2,"a","Own.Action",{}]'], number, "malformed")]


def _packed(plain: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False, write_checksum=False, write_dict_id=False
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(plain)


def _verbatim_rejections() -> list[dict[str, Any]]:
    before = _frame(CodecName.VERBATIM)
    cases = {
        "empty": (b"", "truncated"),
        "no message": (bytes.fromhex("000000"), "malformed"),
        "body that ends early": (bytes.fromhex("01010a7b7d"), "truncated"),
        "number that ends early": (bytes.fromhex("0180"), "truncated"),
        "number of 7 bytes": (bytes.fromhex("01808080808080007b7d"), "malformed"),
        "message type 7": (bytes.fromhex("0105027b7d0000"), "malformed"),
        "CALL with a reference": (bytes.fromhex("0108027b7d0000"), "malformed"),
        "body with white space": (bytes.fromhex("0101037b207d0000"), "malformed"),
        "wrong checksum": (bytes.fromhex("0101027b7d0000"), "integrity"),
        "checksum of 4 bytes for a short text": (bytes.fromhex("0101027b7d00000000"), "malformed"),
        "the first frame again": (before, "integrity"),
    }
    return [_rejection(CodecName.VERBATIM, title, [_HEARTBEAT], frame, error) for title, (frame, error) in cases.items()]


def _adaptive_rejections() -> list[dict[str, Any]]:
    return [_rejection(CodecName.ADAPTIVE, one.title, one.after, one.frame, one.error) for one in forgeries()]


def _expected_as_difference(content: bytes) -> tuple[str, bytes]:
    """A first answer, to CALL 0, whose reference is 2."""
    return "what is expected, as a difference of 0", content + checksum(b'[3,"0",{}]\n', Progress())[0]


_ACCEPTED: Final[dict[CodecName, Callable[[], Iterable[tuple[str, bytes]]]]] = {
    CodecName.VERBATIM: lambda: [_expected_as_difference(bytes.fromhex("0111027b7d"))],
    CodecName.CBOR_ZSTD: lambda: [_expected_as_difference(bytes.fromhex("81028203a0"))],
    CodecName.ADAPTIVE: lenient,
}

_REJECTIONS: Final = {
    CodecName.VERBATIM: _verbatim_rejections,
    CodecName.CBOR_ZSTD: _cbor_rejections,
    CodecName.ADAPTIVE: _adaptive_rejections,
}


if __name__ == "__main__":
    main()
