"""What the vectors carry: conversations in both directions, batch by batch, and messages that exercise each bound of the codec `adaptive`.

Nothing here is drawn at random: what looks so comes from a generator with a fixed seed.
"""

from __future__ import annotations

import base64
import datetime
import json
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ocppress_codecs.rpc import Message, OcppVersion, parse
from ocppress_gateway.tools.conversation import Conversation
from ocppress_gateway.tools.schedule import schedule
from ocppress_gateway.workloads import recordings
from ocppress_gateway.workloads.traces import Direction

__all__ = ["Session", "Step", "for_adaptive", "for_all"]

UP: Final = Direction.UP
DOWN: Final = Direction.DOWN


@dataclass(frozen=True)
class Step:
    """One frame; `new_epoch` has both directions begin anew before it, and go on counting CALLs."""

    direction: Direction
    messages: list[Message]
    new_epoch: bool = False


@dataclass
class Session:
    """A conversation. `packed` marks one with content packed by zstd, whose releases may choose other matches."""

    name: str
    version: OcppVersion
    steps: list[Step] = field(default_factory=list)
    packed: bool = False

    def say(self, direction: Direction, *said: str | tuple[str, int | None], new_epoch: bool = False) -> None:
        """One more frame: OCPP-J texts, and for answers the CALL that they refer to."""
        messages = []
        for one in said:
            text, call = one if isinstance(one, tuple) else (one, None)
            message = parse(text)[1]
            messages.append(Message(message.type, message.action, message.body, call))
        self.steps.append(Step(direction, messages, new_epoch))


_BOOT: Final = '[2,"a","BootNotification",{"chargePointVendor":"Vendor","chargePointModel":"Model"}]'
_HEARTBEAT: Final = '[2,"a","Heartbeat",{}]'
_STATUS: Final = '[2,"a","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"%s","timestamp":"%s"}]'
_METER: Final = (
    '[2,"a","MeterValues",{"connectorId":1,"transactionId":%d,"meterValue":[{"timestamp":"%s","sampledValue":['
    '{"value":"%s","measurand":"Energy.Active.Import.Register","unit":"Wh"},{"value":"%s","measurand":"Voltage","phase":"L1","unit":"V"}]}]}]'
)
_VOLTAGE: Final = '[2,"a","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"%s","sampledValue":[{"value":"%s","measurand":"Voltage","unit":"V"}]}]}]'
_EVENT: Final = (
    '[2,"a","TransactionEvent",{"eventType":"Updated","timestamp":"%s","triggerReason":"MeterValuePeriodic","seqNo":%d,"transactionInfo":'
    '{"transactionId":"%s"},"evse":{"id":1},"meterValue":[{"timestamp":"%s","sampledValue":[{"value":%s,"measurand":"Power.Active.Import"}]}]}]'
)
_TRANSACTION: Final = "6f1c2f3e-9a51-4c0b-8a7e-2d35c1b7e90f"
_STREAM: Final = '[6,"a","NotifyPeriodicEventStream",{"id":1,"pending":0,"basetime":"2026-03-02T08:01:30Z","data":[{"t":0,"v":"1.5"}]}]'
_ODD: Final = (
    '[2,"a","DataTransfer",{"vendorId":"x","numbers":[-0,2e+01,1E5,1.00,-0.50,123456789012345678,1234567890123456789,0.1e-7],'
    '"strings":["","230.10","-0.0","00ff10a0","00FF10A0","\\u00e9","é","a\\/b","a\\"b","\\ud83d","QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="],'
    '"times":["2026-03-02T08:00:00Z","2026-03-02T08:00:00.5Z","2026-03-02T08:00:01.000+01:00","2026-02-30T08:00:00Z","1969-12-31T23:59:59Z"],'
    '"mixed":[true,false,null,{},[],[[]]],"\\u0041":1}]'
)
_REPEATED: Final = '[2,"a","DataTransfer",{"vendorId":"x","vendorId":"y"}]'
_LONG: Final = '[2,"a","DataTransfer",{"vendorId":"x","data":"%s"}]' % ("configuration of the station " * 200)


def for_all() -> Iterator[Session]:
    """What vectors of every codec have."""
    found = Session("first example", OcppVersion.V16)
    for _ in range(2):
        found.say(UP, _HEARTBEAT)
    yield found
    found = Session("worked example", OcppVersion.V16)
    found.say(UP, _HEARTBEAT)
    found.say(DOWN, ('[3,"a",{"currentTime":"2026-03-02T07:59:31Z"}]', 0))
    found.say(UP, _VOLTAGE % ("2026-03-02T08:00:00Z", "230.1"))
    found.say(DOWN, ('[3,"a",{}]', 1))
    found.say(UP, _VOLTAGE % ("2026-03-02T08:01:00Z", "229.9"))
    found.say(DOWN, ('[3,"a",{}]', 2))
    yield found
    found = Session("values move", OcppVersion.V16)
    found.say(UP, _METER % (7, "2026-03-02T08:00:00Z", "1000", "230.1"))
    found.say(UP, _METER % (7, "2026-03-02T08:01:00Z", "1100", "229.8"))
    found.say(UP, _METER % (7, "2026-03-02T08:02:00Z", "1200", "229.85"))
    found.say(UP, _METER % (7, "2026-03-02T08:03:00Z", "1300", "229.85"))
    found.say(UP, _METER % (7, "2026-03-02T08:04:01Z", "1400.5", "n/a"))
    yield found
    found = Session("batches", OcppVersion.V16)
    available = _STATUS % ("Available", "2026-03-02T08:00:00.120Z")
    found.say(UP, _BOOT, available, available)
    found.say(UP, _STATUS % ("Preparing", "2026-03-02T08:05:00.250Z"), _STATUS % ("Charging", "2026-03-02T08:05:09.250Z"))
    yield found
    found = Session("answers in and out of order", OcppVersion.V16)
    found.say(UP, *[_HEARTBEAT] * 4)
    found.say(DOWN, ('[3,"a",{}]', 0), ('[3,"a",{}]', 1))
    found.say(DOWN, ('[3,"a",{"status":"Accepted"}]', 3), ('[4,"a","NotSupported","",{}]', 2))
    found.say(DOWN, ('[3,"a",{}]', None), ('[3,"a",{}]', 3))
    yield found
    found = Session("types of 2.1", OcppVersion.V21)
    found.say(UP, _EVENT % ("2026-03-02T08:00:00.100Z", 1, _TRANSACTION, "2026-03-02T08:00:00.100Z", "11040.5"))
    found.say(UP, _EVENT % ("2026-03-02T08:01:00.140Z", 2, _TRANSACTION, "2026-03-02T08:01:00.140Z", "11041"))
    found.say(UP, _STREAM)
    found.say(UP, ('[5,"a","FormatViolation","",{}]', 1), ('[5,"a","FormatViolation","",{}]', 0), ('[5,"a","GenericError","",{}]', None))
    yield found
    found = Session("an epoch after another", OcppVersion.V16)
    found.say(UP, _HEARTBEAT, _BOOT)
    found.say(DOWN, ('[3,"a",{"currentTime":"2026-03-02T08:00:31Z"}]', 0))
    found.say(DOWN, ('[3,"a",{"currentTime":"2026-03-02T08:00:32Z","interval":60,"status":"Accepted"}]', 1), new_epoch=True)
    found.say(UP, _HEARTBEAT)
    yield found
    found = Session("odd values", OcppVersion.V16)
    for text in (_ODD, _ODD, _REPEATED):
        found.say(UP, text)
    found.say(UP, ('[4,"a","InternalError"]', 0))
    yield found
    found = Session("a long text", OcppVersion.V16, packed=True)
    for _ in range(2):
        found.say(UP, _LONG)
    yield found
    yield _recorded("sim-ocppgo-2.0.1", 0.0)


def for_adaptive() -> Iterator[Session]:
    """What its vectors have besides."""
    yield _recorded("sim-microocpp-1.6", 0.0)
    yield _recorded("sim-microocpp-2.0.1", 900.0)
    yield _recorded("sim-vcp-2.1", 60.0)
    yield _transfers("many small shapes, words and strings", 160, keys=(3, 10), texts=(2, 8))
    yield _transfers("few large shapes, words and strings", 36, keys=(14, 44), texts=(1, 300))
    yield _forgotten()
    yield _reports()
    yield _literals()
    yield _packed()
    yield _meter()
    yield _clocks()
    yield _numbers()
    yield _fallback()
    found = Session("many messages in a frame", OcppVersion.V16)
    for count in (40, 40, 39, 1, 90):
        found.say(UP, *[_HEARTBEAT] * count)
        found.say(DOWN, *(('[3,"a",{}]', number) for number in range(count)))
    yield found
    found = Session("zeros", OcppVersion.V16)
    nothing = {f"z{place}": "00" * 32 for place in range(6)}
    for _ in range(2):
        found.say(UP, _transfer({"data": nothing | {"next": "0" * 36}}))
    yield found


def _recorded(name: str, delay_s: float) -> Session:
    """A recording that ships with the gateway, whose messages wait for others up to `delay_s`."""
    version = recordings.version(name)
    said = Conversation(version).follow(recordings.load(name))
    steps = [Step(batch.direction, list(batch.messages)) for batch in schedule(said, delay_s)]
    return Session(name.replace("sim-", "recording "), version, steps)


def _transfer(members: dict[str, Any]) -> str:
    return f'[2,"a","DataTransfer",{json.dumps({"vendorId": "x"} | members, separators=(",", ":"))}]'


def _letters(source: random.Random, count: int) -> str:
    return "".join(source.choice(string.ascii_letters) for _ in range(count))


def _transfers(name: str, count: int, *, keys: tuple[int, int], texts: tuple[int, int]) -> Session:
    """Ever new shapes with `keys` (how many, of how many letters) and `texts`, and some that come again."""
    source = random.Random(name)
    found = Session(name, OcppVersion.V201)
    known: list[str] = []
    for number in range(count):
        members: dict[str, Any] = {_letters(source, keys[1]): number for _ in range(keys[0])}
        members |= {f"t{place}": _letters(source, texts[1]) for place in range(texts[0])}
        known.append(_transfer(members))
        found.say(UP, known[-1])
        if number % 3 == 2:
            found.say(UP, source.choice(known[-40:]))
    return found


def _forgotten() -> Session:
    """Short names that are forgotten for long ones, and guessed after what they followed while nothing has taken their number (5.8)."""
    source = random.Random(3)  # Few seeds have such a guess.
    found = Session("guesses that are forgotten", OcppVersion.V201)
    for number in range(3):
        for part in range(12):
            if part == 6:
                found.say(UP, _transfer({_letters(source, 60): 1 for _ in range(62)}))
            names = [f"known{source.randrange(40)}" if place % 2 else _letters(source, source.choice([2, 4, 8])) for place in range(4)]
            found.say(UP, _transfer(dict.fromkeys(names, number)))
    return found


def _reports() -> Session:
    """Texts of a kind, some of them again: remembered text is full, and halved, more than once."""
    source = random.Random("reports")
    found = Session("remembered text", OcppVersion.V16)
    lines: list[str] = []
    for number in range(70):
        lines.append(f"{number} of {source.choice(['network', 'meter', 'firmware', 'relay'])}: {_letters(source, 260)} at {number * 7919}")
        again = source.choice(lines)
        found.say(UP, _transfer({"data": f"{lines[-1]}; {again[: source.randrange(20, 250)]}", "messageId": "log"}))
    return found


def _literals() -> Session:
    """Each kind of literal, foreseen and not."""
    source = random.Random("literals")
    found = Session("literals", OcppVersion.V201)
    for _ in range(4):
        some = source.randbytes(60)
        texts = [
            *("", "a", "é漢🔌", 'a"b\\c/d\u0008\u0001', "Z" * 70, _letters(source, 12), "Smith & Sons"),
            *(some[:4].hex(), some[:8].hex().upper(), some.hex(), some[:33].hex().upper(), some[:3].hex(), some[:5].hex() + "0"),
            *("0123", "00042", str(source.randrange(10**15)), "12", "+49 30 901820"),
            *(base64.b64encode(some).decode(), base64.b64encode(some[:16]).decode(), base64.b64encode(some[:11]).decode()),
            f"{some[:4].hex()}-{some[4:6].hex()}-{some[6:8].hex()}-{some[8:10].hex()}-{some[10:16].hex()}",
            f"{some[:4].hex()}-{some[4:6].hex()}-{some[6:8].hex()}-{some[8:10].hex()}-{some[10:16].hex()}".upper(),
        ]
        found.say(UP, _transfer({"data": texts, "messageId": texts[5]}))
        found.say(UP, _transfer({"messageId": source.choice(texts)}), _transfer({"messageId": texts[5]}))
    return found


def _packed() -> Session:
    """Texts that zstd takes over."""
    source = random.Random("packed")
    found = Session("packed by zstd", OcppVersion.V16, packed=True)
    line = _letters(source, 90) + "\n"
    for text in (
        "".join(f"{number}: {line}" for number in range(30)),
        (line.encode() * 40).hex(),
        base64.b64encode(line.encode() * 30).decode(),
        "".join(f"{number}: {line}" for number in range(31)),
        "short again",
    ):
        found.say(UP, _transfer({"data": text}))
    return found


def _meter() -> Session:
    """A charge on three phases: everything that is reckoned from other values, in two units and both spellings."""
    source = random.Random("meter")
    found = Session("a charge", OcppVersion.V201)
    energy, charge = 1_200_000.0, 31.0
    for number in range(90):
        amperes = 0 if number < 3 else 16 if number < 60 else 16 * (90 - number) / 30
        volts = [230 + source.randrange(-20, 21) / 10 for _ in range(3)]
        amps = [amperes + source.randrange(-3, 4) / 100 for _ in range(3)]
        watts = [u * i * 0.97 for u, i in zip(volts, amps, strict=True)]
        energy += sum(watts) / 60
        charge += sum(watts) / 60 / 600
        moment = f"2026-03-02T{8 + number // 60:02}:{number % 60:02}:00.{source.randrange(40, 90):03}Z"
        samples: list[dict[str, Any]] = []
        for phase in range(3):
            samples.append({"value": round(volts[phase], 1), "measurand": "Voltage", "phase": f"L{phase + 1}-N"})
            samples.append({"value": round(amps[phase], 2), "measurand": "Current.Import", "phase": f"L{phase + 1}"})
            samples.append({"value": round(watts[phase]), "measurand": "Power.Active.Import", "phase": f"L{phase + 1}"})
        samples += [
            {"value": round(energy / 1000, 3), "unitOfMeasure": {"unit": "kWh"}},
            {"value": round(sum(watts) / 1000, 2), "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "kW"}},
            {"value": round(energy), "measurand": "Energy.Active.Import.Register", "location": "Inlet"},
            {"value": int(charge), "measurand": "SoC"},
            {"value": 0.97, "measurand": "Power.Factor"},
            {"value": -round(amperes, 1), "measurand": "Current.Offered"},
            {"value": 20 + number // 10, "measurand": "Temperature", "context": "Sample.Periodic"},
        ]
        reading = {"timestamp": moment, "sampledValue": samples}
        body = json.dumps({"evseId": 1, "meterValue": [reading]}, separators=(",", ":"))
        found.say(UP, f'[2,"a","MeterValues",{body}]')
        if number % 20 == 19:
            found.say(UP, f'[2,"a","StopTransaction",{{"meterStop":{round(energy)},"timestamp":"{moment}","transactionId":{number}}}]')
    return found


def _clocks() -> Session:
    """Timestamps: periods with jitter and pace, other digits and endings, steps back, values that no field foresees."""
    source = random.Random("clocks")
    found = Session("timestamps", OcppVersion.V16)
    heartbeat = '[3,"a",{"currentTime":"%s"}]'
    for number in range(130):
        seconds = 1_772_438_400 + 10 * number + number // 7
        moment = _moment(seconds, f"{source.randrange(100, 130)}")
        if 60 <= number < 75:
            moment = _moment(1_772_438_400 + 10 * number, "000")
        if 75 <= number < 90:
            moment = _moment(1_772_438_400 + 3600 * number, f"{number:07}").replace("Z", "+01:00")
        if number in (40, 95):
            moment = _moment(4_294_967_295, "9")
        if number in (41, 96):
            moment = "1970-01-01T00:00:00"
        if number in (97, 98):
            moment = f"soon {number}"
        found.say(DOWN, (heartbeat % moment, None))
        if number % 11 == 5:
            found.say(DOWN, _STATUS % ("Available", _moment(seconds - 3, "5")))
    return found


def _moment(seconds: int, fraction: str) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%S}.{fraction}Z"


def _numbers() -> Session:
    """Numbers that grow digits and lose zeros, change their sign and spelling, leave what can be foreseen, and come back."""
    source = random.Random("numbers")
    found = Session("numbers", OcppVersion.V16)
    large = str(2**48 - 1)
    for number in range(120):
        first = source.choice(["230.1", "230.10", "230", "229.95", "-0.50", "0.000", f"{number}.25", large, "-" + large, "1e3", "0"])
        second = source.choice(
            [str(number), str(-7 * number), '"12.5"', '"12"', "9" * 15, "0." + "0" * 17 + "1", "1." + "5" * (number % 19 or 1)]
        )
        third = 3 * number if number % 40 < 30 else source.randrange(10 ** source.randrange(1, 15))
        value = f'{{"value":"{first}","measurand":"{source.choice(["Voltage", "Frequency"])}"}}'
        found.say(
            UP,
            f'[2,"a","MeterValues",{{"connectorId":{source.choice("12")},"n":{second},"line":{third},"meterValue":[{{"sampledValue":[{value}]}}]}}]',
        )
    return found


def _fallback() -> Session:
    """Messages that go as text, and types whose bodies have free forms."""
    source = random.Random("fallback")
    found = Session("messages as text", OcppVersion.V21, packed=True)
    found.say(UP, _transfer({"data": [_letters(source, 90) for _ in range(40)]}))
    found.say(UP, _transfer({"data": list(range(600))}))
    found.say(UP, _transfer({_letters(source, 20): number for number in range(500)}))
    found.say(UP, _transfer({_letters(source, 20): number for number in range(300)}))
    found.say(UP, (f'[4,"a","Vendor.Own","{_letters(source, 30)}",["any",1.50]]', 3), ('[4,"a","GenericError","",{"a":1}]', 4))
    found.say(UP, (f'[5,"a","RpcFrameworkError","{_letters(source, 30)}"]', 3), _STREAM)
    found.say(UP, _transfer({"data": {"a": [[[{"b": {}}]], True, None]}}))
    return found
