"""A decoder of `cbor-zstd` written from `codecs/SPEC.md` alone, against the vectors and a recording: the document says enough.

It trusts its input: what must be refused is the business of the vectors and of the real decoder. Section numbers are those of SPEC.md.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import zstandard

from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import OcppVersion
from tests.support.traces import CodecPair, frames_of, version_of

ROOT = Path(__file__).parents[2]
DATA = ROOT / "codecs/ocppress_codecs/data"
NAMES = json.loads((DATA / "names-1.json").read_text())
WORDS = {json.dumps(word) for word in NAMES["words"]}
VECTORS = json.loads((ROOT / "codecs/vectors/cbor-zstd.json").read_text())["sessions"]
RECORDINGS = sorted((ROOT / "gateway/ocppress_gateway/workloads/recordings").glob("*.jsonl"))

Item = tuple[int, Any]
"""Major type, and what it holds: a number, bytes, text, items, or for a tag its number and item."""


def parse_item(data: bytes, at: int) -> tuple[Item, int]:
    major, information = data[at] >> 5, data[at] & 31
    at += 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(information, 0)
    argument = int.from_bytes(data[at : at + size], "big") if size else information
    at += size
    if major in (2, 3):
        content = data[at : at + argument]
        return (major, content.decode() if major == 3 else content), at + argument
    if major == 6:
        item, at = parse_item(data, at)
        return (6, (argument, item)), at
    if major not in (4, 5):
        return (major, -1 - argument if major == 1 else argument), at
    items = []
    for _ in range(argument * (major - 3)):
        item, at = parse_item(data, at)
        items.append(item)
    return (major, items), at


def value_of(token: str) -> tuple[str, tuple[Any, ...], int] | None:
    """Kind, what must be the same for a difference, and the number; None for a text (4.4)."""
    plain = token.strip('"')
    number = re.fullmatch(r"(-?)(0|[1-9]\d*)(?:\.(\d+))?", plain, re.ASCII)
    if number and not (number[1] and not (number[2] + (number[3] or "")).strip("0")):
        digits = number[2] + (number[3] or "")
        if int(digits) < 10**18 and len(number[3] or "") <= 18:
            return "number", (token[0] == '"', len(number[3] or "")), int(number[1] + digits)
    time = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)((?:\.\d{1,7})?)(Z|[+-]\d\d:\d\d|)", plain, re.ASCII)
    if time and token[0] == '"':
        year, month, day, hour, minute, second = (int(part) for part in time.groups()[:6])
        if 1 <= month <= 12 and 1 <= day <= calendar.monthrange(max(year, 1), month)[1] and hour < 24 and minute < 60 and second < 60:
            seconds = calendar.timegm((year, month, day, hour, minute, second))
            fraction = time[7][1:]
            if 0 <= seconds < 2**32 and not fraction.strip("0"):
                return "time", (0, time[7] + time[8]), seconds
            if 0 <= seconds < 2**32:
                return "time", (len(fraction), time[8]), seconds * 10 ** len(fraction) + int(fraction)
    return None


def token_of(kind: str, form: tuple[Any, ...], number: int) -> str:
    if kind == "number":
        quoted, scale = form
        digits = str(abs(number)).rjust(scale + 1, "0")
        text = ("-" if number < 0 else "") + digits[: len(digits) - scale] + ("." + digits[-scale:] if scale else "")
        return f'"{text}"' if quoted else text
    digits, ending = form
    seconds, fraction = divmod(number, 10**digits)
    days, second = divmod(seconds, 86400)
    year = 1970
    while days >= 365 + calendar.isleap(year):
        days -= 365 + calendar.isleap(year)
        year += 1
    month = 1
    while days >= calendar.monthrange(year, month)[1]:
        days -= calendar.monthrange(year, month)[1]
        month += 1
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f'"{year:04}-{month:02}-{days + 1:02}T{clock}' + (f".{fraction:0{digits}}" if digits else "") + f'{ending}"'


class SecondDecoder:
    def __init__(self, dictionary: bytes) -> None:
        self.shapes: list[tuple[tuple[str, ...], list[dict[str, Any]]]] = []  # the newest first
        self.strings: list[str] = []
        self.clock = 0
        self.window = b""
        self.dictionary = dictionary
        self.begin()
        if dictionary:
            self.content(dictionary)
            self.begin()

    def begin(self) -> None:
        self.calls = self.expected = 0
        self.chain = bytes(16)
        self.window = b""

    def decode(self, frame: bytes) -> list[tuple[int, int | None, str]]:
        mark, size = frame[0], 4 if frame[0] >= 0xFE else 2
        content = frame[mark >= 0xFD : -size]
        if mark in (0xFD, 0xFF):
            raw = zstandard.ZstdCompressionDict(self.dictionary + self.window, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
            expander = zstandard.ZstdDecompressor(dict_data=raw, format=zstandard.FORMAT_ZSTD1_MAGICLESS)
            content = expander.decompress(content, max_output_size=2_098_176)
        messages = self.content(content)
        text = "".join(f'[{kind},"{"" if call is None else call}",{body}]\n' for kind, call, body in messages).encode()
        self.chain = hashlib.blake2s(self.chain + text, digest_size=16).digest()
        assert frame[-size:] == self.chain[: 4 if len(text) > 4096 else 2]
        return messages

    def content(self, content: bytes) -> list[tuple[int, int | None, str]]:
        messages = []
        at = 0
        while at < len(content):
            start = at
            item, at = parse_item(content, at)
            reference = 0
            if item[0] == 4 and len(item[1]) == 1:
                reference = item[1][0][1]
                start = at
                item, at = parse_item(content, at)
            if item[0] == 4:
                kind, members = item[1][0][1], item[1][1:]
                self.moving = self.clock
                body = members[0][1].decode() if members[0][0] == 2 else ",".join(self.json(member) for member in members)
            else:
                kind, body, at = self.repeated(item, content, at)
            self.learn(kind, body)
            if at - start >= 16:
                self.window = (self.window + content[start:at])[-65536:]
            messages.append((kind, self.call(kind, reference), body))
        return messages

    def call(self, kind: int, reference: int) -> int | None:  # 1.2
        if kind == 2:
            self.calls += 1
            return self.calls - 1
        if kind == 6 or reference == 1:
            return None
        call = self.expected if kind in (3, 4) else self.calls - 1
        if reference:
            zigzag = reference - 2
            call += zigzag // 2 if zigzag % 2 == 0 else -(zigzag + 1) // 2
        if kind in (3, 4):
            self.expected = call + 1
        return call

    def json(self, item: Item) -> str:  # 4.3
        major, content = item
        if major == 4:
            return "[" + ",".join(self.json(member) for member in content) + "]"
        if major == 5:
            keys = [json.dumps(NAMES["keys"][key[1]]) if key[0] == 0 else self.json(key) for key in content[::2]]
            return "{" + ",".join(f"{key}:{self.json(value)}" for key, value in zip(keys, content[1::2], strict=True)) + "}"
        if major == 7:
            return {20: "false", 21: "true", 22: "null"}.get(content) or json.dumps(NAMES["words"][content])
        if major == 6 and content[0] == 13:
            return json.dumps(NAMES["words"][content[1][1]])
        token = self.alone(item)
        self.advance(token)
        return token

    def alone(self, item: Item) -> str:
        major, content = item
        if major in (0, 1):
            return str(content)
        if major == 3:
            return json.dumps(content, ensure_ascii=False)
        tag, (inner_major, inner) = content
        if tag in (4, 7):
            scale, number = (-inner[0][1], inner[1][1]) if inner_major == 4 else (0, inner)
            return token_of("number", (tag == 7, scale), number)
        if tag in (8, 9, 10):
            ahead, digits, ending = (part[1] for part in inner) if tag == 10 else (inner, 0 if tag == 8 else 3, "Z")
            return token_of("time", (digits, ending), self.clock_in(digits) + ahead)
        if tag == 6:
            return self.strings[int(inner)]
        if tag == 12:
            return str(inner)
        digits = inner.hex()
        uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        return json.dumps({37: uuid, 11: digits, 23: digits.upper(), 22: base64.b64encode(inner).decode()}[tag])

    def clock_in(self, digits: int) -> int:
        return int(self.moving // 10 ** (7 - digits))

    def advance(self, token: str) -> None:
        value = value_of(token)
        if value and value[0] == "time":
            self.moving = value[2] * 10 ** (7 - value[1][0])

    def repeated(self, item: Item, content: bytes, at: int) -> tuple[int, str, int]:  # 4.4
        rank = item[1] if item[0] == 0 else -1 - item[1]
        shape, states = self.shapes[rank]
        mask = 0
        if item[0] == 1:
            mask = 1
            if len(states) > 1:
                (major, given), at = parse_item(content, at)
                mask = int.from_bytes(given, "little") if major == 2 else given
        self.moving = self.clock
        body = shape[1]
        for place, state in enumerate(states):
            change: Item = (0, 0)
            if mask >> place & 1:
                change, at = parse_item(content, at)
            token = self.changed(state, change)
            self.advance(token)
            body += token + shape[place + 2]
        return int(shape[0]), body, at

    def changed(self, state: dict[str, Any], change: Item) -> str:
        value = value_of(state["token"])
        if change[0] in (0, 1):
            return token_of(value[0], value[1], self.predicted(state) + int(change[1])) if value else str(state["token"])
        if change[0] == 4:
            assert value is not None
            (quoted, scale), wanted = value[1], change[1][0][1]
            shift = wanted - scale
            nearest = self.predicted(state) * 10**shift if shift >= 0 else self.predicted(state) // 10**-shift
            return token_of("number", (quoted, wanted), nearest + change[1][1][1])
        return self.alone(change)

    def candidates(self, state: dict[str, Any]) -> list[int]:
        value = value_of(state["token"])
        assert value is not None
        kind, form, last = value
        if kind == "number":
            return [last, last + state["difference"]]
        clock = self.clock_in(form[0])
        return [last + state["difference"], clock, clock + state["lead"], last]

    def predicted(self, state: dict[str, Any]) -> int:
        candidates = self.candidates(state)
        return candidates[min(range(len(candidates)), key=lambda place: state["costs"][place])]

    def learn(self, kind: int, body: str) -> None:  # 4.5
        tokens: list[str] = []
        shape = [str(kind)]
        end = 0
        for match in re.finditer(r'"(?:[^"\\]|\\.)*"(:?)|-?[0-9][0-9.eE+-]*', body):
            if not match[1] and match[0] not in WORDS:
                shape.append(body[end : match.start()])
                tokens.append(match[0])
                end = match.end()
        shape.append(body[end:])
        known = next((states for other, states in self.shapes if other == tuple(shape)), None)
        self.shapes = [entry for entry in self.shapes if entry[0] != tuple(shape)]
        self.moving = self.clock
        states = [self.learned(token, known[place] if known is not None else None) for place, token in enumerate(tokens)]
        self.clock = self.moving
        if known is None and self.weight(shape) > 8192:
            return
        self.shapes.insert(0, (tuple(shape), states))
        while len(self.shapes) > 256 or sum(self.weight(entry[0]) for entry in self.shapes) > 262_144:
            self.shapes.pop()

    @staticmethod
    def weight(shape: Any) -> int:
        return 1 + sum(len(part) for part in shape[1:]) + 64 * (len(shape) - 2)

    def learned(self, token: str, state: dict[str, Any] | None) -> dict[str, Any]:
        value = value_of(token)
        fresh = {"token": token, "costs": [0] * 4, "difference": 0, "lead": 0}
        if value and value[0] == "time":
            fresh["lead"] = value[2] - self.clock_in(value[1][0])
        last = value_of(state["token"]) if state else None
        if state and value and last and last[:2] == value[:2]:
            candidates = self.candidates(state)
            pairs = zip(state["costs"], candidates, strict=False)
            fresh["costs"] = [cost - cost // 4 + 16 * abs(value[2] - candidate).bit_length() for cost, candidate in pairs]
            fresh["difference"] = value[2] - last[2]
        self.advance(token)
        if value is None and token[0] == '"' and 6 <= len(token) <= 66:
            self.strings = [token, *(string for string in self.strings if string != token)][:128]
        return fresh


def _dictionary(name: str, version: OcppVersion) -> bytes:
    if name == "none":
        return b""
    (_, parts), _ = parse_item((DATA / "dictionary-1.cbor").read_bytes(), 0)
    content = parts[0 if version is OcppVersion.V16 else 1][1]
    assert isinstance(content, bytes)
    return content


@pytest.mark.parametrize("session", VECTORS, ids=lambda session: session["name"])
def test_vectors(session: dict[str, Any]) -> None:
    dictionary = _dictionary(session["dictionary"], OcppVersion(session["version"]))
    decoders = {way: SecondDecoder(dictionary) for way in ("up", "down")}
    for step in session["frames"]:
        if step.get("new_epoch"):
            calls = {way: decoder.calls for way, decoder in decoders.items()}
            decoders = {way: SecondDecoder(dictionary) for way in calls}
            for way, count in calls.items():
                decoders[way].calls = count
        expected = [(message["type"], message["call"], message["body"]) for message in step["messages"]]
        assert decoders[step["direction"]].decode(bytes.fromhex(step["frame"])) == expected


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_recordings(file: Path) -> None:
    version = version_of(file)
    pair = CodecPair(CodecName.CBOR_ZSTD, version)
    decoders = {way: SecondDecoder(_dictionary("shipped", version)) for way in ("up", "down")}
    for way, text in frames_of(file)[:120]:
        ((kind, _, body),) = decoders[way].decode(pair.carry(way, text))
        assert text.startswith(f"[{kind},")
        assert text.endswith(f",{body}]")
