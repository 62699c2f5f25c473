"""The table of who answers what, for gateway/README.md: the code's own answers to a message of each kind, in each version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.rpc import Message, MessageType, OcppVersion
from ocppress_gateway.core.empty_answers import EMPTY_ANSWER_ACTIONS
from ocppress_gateway.core.policy import NO_OVERRIDES, SENT_BY_CSMS, MessageClass, Overrides, class_of, is_transaction, is_urgent

__all__ = ["policy_table"]

_ALL: Final = tuple(OcppVersion)
_V2: Final = tuple(version for version in OcppVersion if version is not OcppVersion.V16)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Messages of one kind: `payload` is an example, `versions` those that have such messages."""

    name: str
    action: str
    payload: str
    versions: Sequence[OcppVersion]
    overrides: Overrides = NO_OVERRIDES


def _event(kind: str, trigger: str, token: str = "") -> str:
    return f'{{"eventType":"{kind}","triggerReason":"{trigger}"{token}}}'


def _kinds() -> Iterator[_Kind]:
    yield _Kind("`Heartbeat`", "Heartbeat", "{}", _ALL)
    for action in sorted(frozenset[str]().union(*EMPTY_ANSWER_ACTIONS.values()) - SENT_BY_CSMS):
        versions = [version for version in _ALL if action in EMPTY_ANSWER_ACTIONS[version]]
        if action == "MeterValues":
            yield _Kind("`MeterValues` without transactionId", action, "{}", versions)
            yield _Kind("`MeterValues` with transactionId", action, '{"transactionId":7}', [OcppVersion.V16])
        else:
            yield _Kind(f"`{action}`", action, "{}", versions)
    te = "TransactionEvent"
    for trigger in ("MeterValuePeriodic", "MeterValueClock", "ChargingStateChanged"):
        yield _Kind(f"`{te}` Updated, {trigger}", te, _event("Updated", trigger), _V2)
    yield _Kind(f"`{te}` Updated, any other triggerReason", te, _event("Updated", "CablePluggedIn"), _V2)
    yield _Kind(f"`{te}` Updated with idToken", te, _event("Updated", "MeterValuePeriodic", ',"idToken":{}'), _V2)
    yield _Kind(f"`{te}` Started, Ended", te, _event("Started", "Authorized"), _V2)
    answering = Overrides(answer=frozenset({te}))
    yield _Kind(f"`{te}` without idToken, if `answer` has it", te, _event("Ended", "EVDeparted"), _V2, answering)
    yield _Kind("any action that `relay` has", "MeterValues", "{}", _ALL, Overrides(relay=frozenset({"MeterValues"})))
    for action in ("StartTransaction", "StopTransaction"):
        yield _Kind(f"`{action}`", action, "{}", [OcppVersion.V16])
    for action in ("BootNotification", "Authorize", "DataTransfer"):
        yield _Kind(f"`{action}`", action, "{}", _ALL)
    yield _Kind("every other action", "NoSuchAction", "{}", _ALL)


def _answered(kind: _Kind, version: OcppVersion) -> str:
    if version not in kind.versions:
        return ""
    message = Message(MessageType.CALL, kind.action, f'"{kind.action}",{kind.payload}')
    match class_of(version, message, kind.overrides):
        case MessageClass.HEARTBEAT:
            return "here"
        case MessageClass.BATCH:
            return "early, urgent" if is_urgent(message) else "early"
        case MessageClass.RELAY:
            return "relayed"


def policy_table() -> str:
    """Markdown."""
    rows = []
    for kind in _kinds():
        message = Message(MessageType.CALL, kind.action, f'"{kind.action}",{kind.payload}')
        lanes = {not is_transaction(message) for version in kind.versions}
        assert len(lanes) == 1, f"{kind.name} has a lane in each version of its own"
        cells = (kind.name, *(_answered(kind, version) for version in _ALL), "express" if True in lanes else "ordered")
        rows.append(f"| {' | '.join(cells)} |")
    heads = ["message of a station", *(version.value for version in _ALL), "lane"]
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *rows])
