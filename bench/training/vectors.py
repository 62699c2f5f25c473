"""Makes `codecs/vectors/*.json`: frames and their messages, for implementers in any language. `codecs/README.md` says how to read them.

Sessions show what an encoder writes and a decoder must give. Rejections show what a decoder must refuse, after the frames of `after`, with which error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import zstandard

from ocppress_codecs.calls import CallLog
from ocppress_codecs.cbor_zstd import CborZstdEncoder, first_state
from ocppress_codecs.dictionary import shipped
from ocppress_codecs.interface import CodecName, Encoder, Side
from ocppress_codecs.registry import fingerprint, open_endpoint
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, parse
from ocppress_codecs.verbatim import VerbatimEncoder

__all__ = ["VECTORS_FOLDER", "main", "vectors_text"]

VECTORS_FOLDER: Final = Path(__file__).parents[2] / "codecs/vectors"

_Batch = Sequence[tuple[str, int | None]]
"""OCPP-J texts, and for answers the CALL they refer to."""

_BOOT: Final = '[2,"a","BootNotification",{"chargePointVendor":"Vendor","chargePointModel":"Model"}]'
_STATUS: Final = '[2,"a","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"%s","timestamp":"%s"}]'
_METER: Final = (
    '[2,"a","MeterValues",{"connectorId":1,"transactionId":%d,"meterValue":[{"timestamp":"%s","sampledValue":['
    '{"value":"%s","measurand":"Energy.Active.Import.Register","unit":"Wh"},{"value":"%s","measurand":"Voltage","phase":"L1","unit":"V"}]}]}]'
)
_EVENT: Final = (
    '[2,"a","TransactionEvent",{"eventType":"Updated","timestamp":"%s","triggerReason":"MeterValuePeriodic","seqNo":%d,"transactionInfo":'
    '{"transactionId":"%s"},"evse":{"id":1},"meterValue":[{"timestamp":"%s","sampledValue":[{"value":%s,"measurand":"Power.Active.Import"}]}]}]'
)
_TRANSACTION: Final = "6f1c2f3e-9a51-4c0b-8a7e-2d35c1b7e90f"
_ODD: Final = (
    '[2,"a","DataTransfer",{"vendorId":"x","numbers":[-0,2e+01,1E5,1.00,-0.50,123456789012345678,1234567890123456789,0.1e-7],'
    '"strings":["","230.10","-0.0","00ff10a0","00FF10A0","\\u00e9","é","a\\/b","a\\"b","\\ud83d","QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="],'
    '"times":["2026-03-02T08:00:00Z","2026-03-02T08:00:00.5Z","2026-03-02T08:00:01.000+01:00","2026-02-30T08:00:00Z","1969-12-31T23:59:59Z"],'
    '"mixed":[true,false,null,{},[],[[]]],"\\u0041":1}]'
)
_REPEATED: Final = '[2,"a","DataTransfer",{"vendorId":"x","vendorId":"y"}]'
_LONG: Final = '[2,"a","DataTransfer",{"vendorId":"x","data":"%s"}]' % ("configuration of the station " * 200)

_SESSIONS: Final[dict[str, tuple[OcppVersion, list[_Batch]]]] = {
    "first example": (OcppVersion.V16, [[('[2,"a","Heartbeat",{}]', None)], [('[2,"a","Heartbeat",{}]', None)]]),
    "values move": (
        OcppVersion.V16,
        [
            [(_METER % (7, "2026-03-02T08:00:00Z", "1000", "230.1"), None)],
            [(_METER % (7, "2026-03-02T08:01:00Z", "1100", "229.8"), None)],
            [(_METER % (7, "2026-03-02T08:02:00Z", "1200", "229.85"), None)],
            [(_METER % (7, "2026-03-02T08:03:00Z", "1300", "229.85"), None)],
            [(_METER % (7, "2026-03-02T08:04:01Z", "1400.5", "n/a"), None)],
        ],
    ),
    "batches": (
        OcppVersion.V16,
        [
            [
                (_BOOT, None),
                (_STATUS % ("Available", "2026-03-02T08:00:00.120Z"), None),
                (_STATUS % ("Available", "2026-03-02T08:00:00.120Z"), None),
            ],
            [(_STATUS % ("Preparing", "2026-03-02T08:05:00.250Z"), None), (_STATUS % ("Charging", "2026-03-02T08:05:09.250Z"), None)],
        ],
    ),
    "answers in and out of order": (
        OcppVersion.V16,
        [
            [('[3,"a",{}]', 0), ('[3,"a",{}]', 1)],
            [('[3,"a",{"status":"Accepted"}]', 3), ('[4,"a","NotSupported","",{}]', 2)],
            [('[3,"a",{}]', None), ('[3,"a",{}]', 3)],
        ],
    ),
    "types of 2.1": (
        OcppVersion.V21,
        [
            [(_EVENT % ("2026-03-02T08:00:00.100Z", 1, _TRANSACTION, "2026-03-02T08:00:00.100Z", "11040.5"), None)],
            [(_EVENT % ("2026-03-02T08:01:00.140Z", 2, _TRANSACTION, "2026-03-02T08:01:00.140Z", "11041"), None)],
            [
                (
                    '[6,"a","NotifyPeriodicEventStream",{"id":1,"pending":0,"basetime":"2026-03-02T08:01:30Z","data":[{"t":0,"v":"1.5"}]}]',
                    None,
                )
            ],
            [('[5,"a","FormatViolation","",{}]', 1), ('[5,"a","FormatViolation","",{}]', 0), ('[5,"a","GenericError","",{}]', None)],
        ],
    ),
    "odd values": (OcppVersion.V16, [[(_ODD, None)], [(_ODD, None)], [(_REPEATED, None)], [('[4,"a","InternalError"]', 0)]]),
    "a long text": (OcppVersion.V16, [[(_LONG, None)], [(_LONG, None)]]),
}

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


def vectors_text(name: CodecName) -> str:
    """The content of `{name}.json`."""
    content = {
        "codec": name.value,
        "fingerprint": fingerprint(name).hex(),
        "sessions": _sessions(name),
        "rejections": _REJECTIONS[name](),
    }
    return json.dumps(content, indent=1) + "\n"


def _encoder(name: CodecName, dictionary: bytes = b"") -> Encoder:
    if name is CodecName.ADAPTIVE:
        return open_endpoint(name, OcppVersion.V16, Side.EDGE).encoder
    return VerbatimEncoder(CallLog()) if name is CodecName.VERBATIM else CborZstdEncoder(CallLog(), first_state(dictionary))


def _sessions(name: CodecName) -> list[dict[str, Any]]:
    found = [_session(title, version, batches, _encoder(name), "none") for title, (version, batches) in _SESSIONS.items()]
    if name is CodecName.CBOR_ZSTD:
        for title in ("values move", "types of 2.1"):
            version, batches = _SESSIONS[title]
            encoder = _encoder(name, shipped().for_version(version))
            found.append(_session(f"{title}, with the shipped dictionary", version, batches, encoder, "shipped"))
    return found


def _session(title: str, version: OcppVersion, batches: Sequence[_Batch], encoder: Encoder, dictionary: str) -> dict[str, Any]:
    frames = []
    for batch in batches:
        messages = _messages(batch)
        count = encoder.calls.count
        frame = encoder.encode(messages)
        listed = []
        for message in messages:
            call = message.call
            if message.type is MessageType.CALL:
                call, count = count, count + 1
            listed.append({"type": message.type.value, "call": call, "body": message.body})
        frames.append({"frame": frame.hex(), "messages": listed})
    return {"name": title, "version": version.value, "dictionary": dictionary, "frames": frames}


def _messages(batch: _Batch) -> list[Message]:
    found = []
    for text, call in batch:
        message = parse(text)[1]
        found.append(Message(message.type, message.action, message.body, call))
    return found


def _heartbeat_frame(name: CodecName) -> bytes:
    return _encoder(name).encode(_messages([('[2,"a","Heartbeat",{}]', None)]))


def _cbor_rejections() -> list[dict[str, str | list[str]]]:
    before = _heartbeat_frame(CodecName.CBOR_ZSTD)
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
    }
    return [{"name": title, "after": [before.hex()], "frame": frame.hex(), "error": error} for title, (frame, error) in cases.items()]


def _packed(plain: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False, write_checksum=False, write_dict_id=False
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(plain)


def _verbatim_rejections() -> list[dict[str, str | list[str]]]:
    before = _heartbeat_frame(CodecName.VERBATIM)
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
    return [{"name": title, "after": [before.hex()], "frame": frame.hex(), "error": error} for title, (frame, error) in cases.items()]


def _adaptive_rejections() -> list[dict[str, str | list[str]]]:
    first = _heartbeat_frame(CodecName.ADAPTIVE)
    cases = {
        "empty": (b"", "truncated"),
        "half a checksum": (b"\0", "truncated"),
        "wrong checksum": (first[:-1] + bytes((first[-1] ^ 1,)), "integrity"),
        "bytes after the last message": (first[:-2] + b"\0\0\0\0\1" + first[-2:], "malformed"),
    }
    return [{"name": title, "after": [], "frame": frame.hex(), "error": error} for title, (frame, error) in cases.items()]


_REJECTIONS: Final = {
    CodecName.VERBATIM: _verbatim_rejections,
    CodecName.CBOR_ZSTD: _cbor_rejections,
    CodecName.ADAPTIVE: _adaptive_rejections,
}


if __name__ == "__main__":
    main()
