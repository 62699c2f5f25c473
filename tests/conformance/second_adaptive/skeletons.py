"""What is remembered by number, and skeletons: told at first sight, and what their holes are (SPEC.md, 5.7 to 5.9)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.second_adaptive.coder import Reader, Refused, mix, text_hash

HOLE = "\x01"
OTHER, VOLTAGE, CURRENT, POWER, ENERGY, FACTOR, SOC = range(7)

REGISTER = '"Energy.Active.Import.Register"'
ROLES = {
    '"Voltage"': VOLTAGE,
    '"Current.Import"': CURRENT,
    '"Power.Active.Import"': POWER,
    REGISTER: ENERGY,
    '"Power.Factor"': FACTOR,
    '"SoC"': SOC,
}
CODED = {OTHER: 1, VOLTAGE: 1, CURRENT: 1, POWER: 2, ENERGY: 3, FACTOR: 4, SOC: 5}
PHASES = {"L1": 1, "L1-N": 1, "L2": 2, "L2-N": 2, "L3": 3, "L3-N": 3, "N": 4, "L1-L2": 5, "L2-L3": 6, "L3-L1": 7}


class Slots:
    def __init__(self, capacity: int, weight: int) -> None:
        self.capacity = capacity
        self.weight = weight
        self.clock = 0
        self.slots: dict[int, tuple[int, Any, Any, int]] = {}
        """By number: stamp, key, content, weight."""

    def copy(self) -> Slots:
        other = Slots(self.capacity, self.weight)
        other.clock, other.slots = self.clock, dict(self.slots)
        return other

    def number_of(self, key: Any) -> int | None:
        return next((number for number, slot in self.slots.items() if slot[1] == key), None)

    def use(self, number: int) -> None:
        self.clock += 1
        self.slots[number] = (self.clock, *self.slots[number][1:])

    def replace(self, number: int, content: Any) -> None:
        self.use(number)
        stamp, key, _, weight = self.slots[number]
        self.slots[number] = (stamp, key, content, weight)

    def insert(self, key: Any, content: Any, weight: int) -> int:
        while len(self.slots) >= self.capacity or sum(slot[3] for slot in self.slots.values()) + weight > self.weight:
            del self.slots[min(self.slots, key=lambda number: self.slots[number][0])]
        number = next(number for number in range(self.capacity) if number not in self.slots)
        self.slots[number] = (0, key, content, weight)
        self.use(number)
        return number

    def ranked(self) -> list[int]:
        return sorted(self.slots, key=lambda number: -self.slots[number][0])

    def of_rank(self, rank: int) -> int:
        if rank >= len(self.slots):
            raise Refused("malformed", "a rank that isn't there")
        return self.ranked()[rank]


class Successors:
    def __init__(self, size: int, prior: dict[int, list[int]]) -> None:
        self.size = size
        self.prior = prior
        self.entries: dict[int, tuple[int, list[int]]] = {}

    def copy(self) -> Successors:
        other = Successors(self.size, self.prior)
        other.entries = dict(self.entries)
        return other

    def following(self, context: int) -> list[int]:
        check, numbers = self.entries.get(context % self.size, (None, []))
        return numbers if check == context >> 22 else self.prior.get(context, [])

    def follow(self, context: int, numbers: list[int], number: int) -> None:
        if numbers[:1] != [number]:
            others = [other for other in numbers if other != number]
            self.entries[context % self.size] = (context >> 22, [number, *others][:4])


class Words:
    """Tokens of skeletons by number: the prior's, then those of the direction."""

    def __init__(self, prior: Any) -> None:
        self.prior = prior
        self.slots = Slots(256, 4096)
        self.successors = Successors(256, prior.successors)

    def copy(self) -> Words:
        other = Words(self.prior)
        other.slots, other.successors = self.slots.copy(), self.successors.copy()
        return other

    def told(self, number: int) -> str:
        """The token of this number, which is used."""
        known = self.prior.words
        if number < len(known):
            return str(known[number])
        number -= len(known)
        if number not in self.slots.slots:
            raise Refused("malformed", "a word that isn't there")
        self.slots.use(number)
        return str(self.slots.slots[number][2])

    def number_of(self, token: str) -> int | None:
        number: int | None = self.prior.word_numbers.get(token)
        if number is None:
            number = self.slots.number_of(token)
            if number is not None:
                number += len(self.prior.words)
        return number

    def first_sight(self, reader: Reader, texts: Any, answered: int, limit: int) -> str:
        limit = min(limit, 8192)
        kind_of_message = reader.choice(3, mix(100, 1 if answered else 0))
        subject = mix(kind_of_message, answered)
        run = word = key = 0
        skeleton = str(kind_of_message)
        firsts = True
        kind = 0
        while True:
            reader.check_work()
            token = self.token(reader, texts, kind, subject, run, word, key, limit - len(skeleton) + 1)
            if len(skeleton) - 1 + len(token) > limit:
                raise Refused("limit", "skeleton_bytes")
            if kind == 1 and token == "":
                return skeleton
            skeleton += token
            h = text_hash(token)
            if kind == 0:
                run = h
                if token.startswith(":"):
                    key = word
            else:
                word = h
                if firsts:
                    subject = mix(subject, h)
                    firsts = False
            kind = 1 - kind

    def token(self, reader: Reader, texts: Any, kind: int, subject: int, run: int, word: int, key: int, limit: int) -> str:
        start = mix(kind, run if kind == 1 else 0)
        second = mix(start, key if kind == 1 else word, 2)
        first = mix(second, subject, 4) if kind == 1 and word == key else mix(start, key, word, 3)
        contexts = [first, second, mix(start, subject, 1), start]
        lists = [self.successors.following(context) for context in contexts]
        number = self.foreseen(reader, kind, contexts, lists)
        if number is None:
            if reader.grammar(mix(start, 103), 104 + kind):
                number = reader.gamma(mix(106, kind))
                token = self.told(number)
            else:
                data = texts.characters(reader, 107 + kind, limit)
                try:
                    token = data.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise Refused("malformed", "UTF-8") from error
                texts.remembered.remember(data)
                number = self.number_of(token)
                if number is None and len(data) <= 64:
                    number = len(self.prior.words) + self.slots.insert(token, token, len(data))
        else:
            token = self.told(number)
        if number is not None:
            for context, numbers in zip(contexts, lists, strict=True):
                self.successors.follow(context, numbers, number)
        return token

    @staticmethod
    def foreseen(reader: Reader, kind: int, contexts: list[int], lists: list[list[int]]) -> int | None:
        tried: list[int] = []
        for i in range(4):
            rank = 0
            for number in lists[i]:
                if number in tried:
                    continue
                place = mix(101 + kind, i, 4 * rank + min(len(tried), 3))
                if reader.grammar(mix(contexts[i], number), place):
                    return number
                tried.append(number)
                rank += 1
        return None


@dataclass
class Hole:
    name: int = 0
    """Hash of the member's name."""
    field: int = 0
    measure: int = 0
    role: int = OTHER
    phase: int = 0
    group: int = 0
    kilo: bool = False


@dataclass
class _Object:
    name: str
    path: int
    group: int
    literals: dict[str, str] = field(default_factory=dict)
    holes: list[tuple[Hole, str]] = field(default_factory=list)


class Shape:
    """A skeleton and its plan."""

    def __init__(self, skeleton: str) -> None:
        self.skeleton = skeleton
        self.type = int(skeleton[0])
        self.segments = skeleton[1:].split(HOLE)
        self.context = text_hash(skeleton)
        self.bytes = len(skeleton.encode())
        self.holes = plan(skeleton)
        assert len(self.holes) == len(self.segments) - 1
        places = range(len(self.holes))
        self.order = sorted(places, key=lambda place: (self.holes[place].group, CODED[self.holes[place].role], place))


def plan(skeleton: str) -> list[Hole]:
    tokens = re.findall(r'[{}\[\],:]|"(?:[^"\\]|\\.)*"|\x01|[^{}\[\],:"\x01]+', skeleton[1:])
    subject = text_hash(tokens[0]) if tokens else 0
    scope = 0
    for before, colon, token in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if before in ('"connectorId"', '"evseId"', '"id"') and colon == ":" and token not in (HOLE, "{", "["):
            scope = mix(scope, text_hash(token))
    current = _Object("", 0, 0)
    stack: list[_Object] = []
    groups = 0
    name = ""
    holes: list[Hole] = []
    for token, after in zip(tokens, [*tokens[1:], ""], strict=True):
        if token == "{":
            if name in ('"meterValue"', '"transactionData"'):
                groups += 1
            stack.append(current)
            current = _Object(name, mix(current.path, text_hash(name)), groups)
        elif token == "}":
            settle(current, subject, scope)
            closed = current
            current = stack.pop()
            name = closed.name
            if name == '"unitOfMeasure"':
                current.literals.update(closed.literals)
        elif token in ("[", "]", ",", ":"):
            pass
        elif after == ":":
            name = token
        elif token == HOLE:
            hole = Hole()
            holes.append(hole)
            current.holes.append((hole, name))
        elif name != '"context"':
            current.literals[name] = token
    settle(current, subject, scope)
    return holes


def settle(closed: _Object, subject: int, scope: int) -> None:
    literals = closed.literals
    signature = 0
    for name, token in literals.items():
        signature = mix(signature, text_hash(name), text_hash(token))
    for hole, name in closed.holes:
        hole.name = text_hash(name)
        hole.group = closed.group
        if name == '"value"' and closed.name == '"sampledValue"':
            parts = [literals.get(f'"{attribute}"', "") for attribute in ("measurand", "phase", "location", "unit")]
            hole.field = mix(hole.name, scope, *map(text_hash, parts))
            measurand = parts[0] or REGISTER
            hole.measure = text_hash(measurand)
            hole.role = ROLES.get(measurand, OTHER)
            hole.phase = PHASES.get(parts[1].strip('"'), 0)
            hole.kilo = parts[3].startswith('"k')
        else:
            hole.field = mix(hole.name, closed.path, scope)
            if name == '"timestamp"':
                hole.field = mix(hole.field, subject, signature)


def check_skeleton(skeleton: str) -> None:
    """Refuse what isn't a skeleton (5.7)."""
    kind, text = skeleton[0], skeleton[1:]
    if kind not in "23456" or HOLE + ":" in text or (kind in "26" and text.startswith(HOLE)):
        raise Refused("malformed", "a skeleton that is none")
    check_body(int(kind), text.replace(HOLE, '""'))


def check_body(kind: int, body: str) -> None:
    """Refuse a body that isn't one of its type (1.1)."""
    text = f"[{body}]"
    if without_space(text) != text:
        raise Refused("malformed", "white space")
    try:
        members = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Refused("malformed", "no JSON") from error
    depth = deepest = 0
    for character in re.sub(r'"(?:[^"\\]|\\.)*"', "", text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(character, 0)
        deepest = max(deepest, depth)
    kinds = ["o" if isinstance(member, dict) else "s" if isinstance(member, str) else "-" for member in members]
    form = {2: r"so", 6: r"so", 3: r"o", 4: r"s(s.?)?", 5: r"s(s.?)?"}[kind]
    if deepest > 64 or not re.fullmatch(form, "".join(kinds)):
        raise Refused("malformed", "no body")


def without_space(text: str) -> str:
    return re.sub(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', lambda match: match[1] or "", text)


def _refuse(name: str) -> None:
    raise ValueError(name)
