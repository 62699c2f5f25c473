"""What the holes of a skeleton are: which field each belongs to, what it measures, and in which order they are coded.

Fields are shared by all skeletons: a measured value by what it measures, where and on which connector; any other value by its path and connector. So
what is learned from one message serves another that has the same value among others. Values are coded in an order in which they help each other: within a
meter reading timestamps, voltages and currents first, then power, energy, and what follows from them.
"""

from __future__ import annotations

import re
from typing import Final, final

from mypy_extensions import i64, mypyc_attr

from ocppress_codecs.adaptive.contexts import mixed, text_hash
from ocppress_codecs.adaptive.skeletons import HOLE, SCOPE_KEYS

__all__ = ["CURRENT", "ENERGY", "FACTOR", "OTHER", "POWER", "SOC", "VOLTAGE", "Hole", "Plan", "plan_of"]

OTHER: Final = 0
VOLTAGE: Final = 1
CURRENT: Final = 2
POWER: Final = 3
ENERGY: Final = 4
FACTOR: Final = 5
SOC: Final = 6

_ROLES: Final = {
    '"Voltage"': VOLTAGE,
    '"Current.Import"': CURRENT,
    '"Power.Active.Import"': POWER,
    '"Energy.Active.Import.Register"': ENERGY,
    '"Power.Factor"': FACTOR,
    '"SoC"': SOC,
}
_DEFAULT_MEASURAND: Final = '"Energy.Active.Import.Register"'
_RANKS: Final = {OTHER: 0, VOLTAGE: 0, CURRENT: 0, POWER: 1, ENERGY: 2, FACTOR: 3, SOC: 4}

_PHASES: Final = {
    "": 0,
    '"L1"': 1,
    '"L2"': 2,
    '"L3"': 3,
    '"L1-N"': 1,
    '"L2-N"': 2,
    '"L3-N"': 3,
    '"N"': 4,
    '"L1-L2"': 5,
    '"L2-L3"': 6,
    '"L3-L1"': 7,
}
"""Other than those of OCPP are as none."""

_ATTRIBUTES: Final = ('"measurand"', '"phase"', '"location"', '"unit"')
_READINGS: Final = frozenset({'"meterValue"', '"transactionData"'})

_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:\x01]|[^"{}\[\],:\x01]+')


@final
@mypyc_attr(acyclic=True)
class Hole:
    """One value of a skeleton."""

    __slots__ = ("field", "group", "kilo", "measure", "name", "phase", "rank", "role")

    def __init__(self, field: i64, name: i64, measure: i64, role: i64, phase: i64, group: i64, kilo: bool) -> None:
        self.field: Final[i64] = field
        """Key of the field: a hash of 32 bits."""
        self.name: Final[i64] = name
        """Hash of the member's name."""
        self.measure: Final[i64] = measure
        """What is measured, without phase and place; 0 for other values."""
        self.role: Final[i64] = role
        self.phase: Final[i64] = phase
        self.group: Final[i64] = group
        """Which reading of the message it belongs to."""
        self.kilo: Final[bool] = kilo
        """The unit is a thousand times the usual one."""
        self.rank: Final[i64] = _RANKS[role]


@final
class Plan:
    """The holes in the order of the text, and the places of the same in the order of coding."""

    __slots__ = ("holes", "order")

    def __init__(self, holes: list[Hole]) -> None:
        self.holes: Final[list[Hole]] = holes
        self.order: Final[list[int]] = sorted(range(len(holes)), key=lambda place: (holes[place].group, holes[place].rank))


@final
class _Object:
    """An object of the skeleton, while it is read."""

    __slots__ = ("group", "holes", "key", "literals", "path")

    def __init__(self, key: str, path: int, group: int) -> None:
        self.key: str = key
        """Under which name it stands, itself or in an array."""
        self.path: int = path
        self.group: int = group
        self.literals: dict[str, str] = {}
        self.holes: list[tuple[int, str]] = []


def plan_of(skeleton: str) -> Plan:
    """The plan of a skeleton whose text is JSON."""
    tokens = _TOKEN.findall(skeleton, 1)
    subject = text_hash(tokens[0]) if tokens else 0
    scope = 0
    for place in range(2, len(tokens)):
        if tokens[place - 1] == ":" and tokens[place - 2] in SCOPE_KEYS and tokens[place] not in (HOLE, "{", "["):
            scope = mixed(scope, text_hash(tokens[place]))
    current = _Object("", 0, 0)
    stack: list[_Object] = []
    groups = 0
    key = ""
    found: dict[int, Hole] = {}
    count = 0
    for place, token in enumerate(tokens):
        if token == "{":
            if key in _READINGS:
                groups += 1
            stack.append(current)
            current = _Object(key, mixed(current.path, text_hash(key)), groups)
        elif token == "}":
            _finish(current, found, subject, scope)
            closed = current
            current = stack.pop() if stack else _Object("", 0, 0)
            key = closed.key
            if closed.key == '"unitOfMeasure"':
                current.literals.update(closed.literals)
        elif token in ("[", "]", ",", ":"):
            continue
        elif place + 1 < len(tokens) and tokens[place + 1] == ":":
            key = token
        elif token == HOLE:
            current.holes.append((count, key))
            count += 1
        elif key != '"context"':
            current.literals[key] = token
    _finish(current, found, subject, scope)
    return Plan([found[place] for place in range(count)])


def _finish(closed: _Object, found: dict[int, Hole], subject: int, scope: int) -> None:
    """Settle the holes of an object whose literals are all known."""
    literals = closed.literals
    signature = 0
    for literal in literals:
        signature = mixed(mixed(signature, text_hash(literal)), text_hash(literals[literal]))
    for place, key in closed.holes:
        name = text_hash(key)
        if key == '"value"' and closed.key == '"sampledValue"':
            field = mixed(name, scope)
            for attribute in _ATTRIBUTES:
                field = mixed(field, text_hash(literals.get(attribute, "")))
            measurand = literals.get('"measurand"', _DEFAULT_MEASURAND)
            kilo = literals.get('"unit"', "").startswith('"k')
            role = _ROLES.get(measurand, OTHER)
            phase = _PHASES.get(literals.get('"phase"', ""), 0)
            found[place] = Hole(field, name, text_hash(measurand), role, phase, closed.group, kilo)
            continue
        field = mixed(mixed(name, closed.path), scope)
        if key == '"timestamp"':
            field = mixed(mixed(field, subject), signature)
        found[place] = Hole(field, name, 0, OTHER, 0, closed.group, False)
