"""What `/api/v1/` takes and gives. Times in seconds, sizes in bytes, dates in ISO 8601; null for what isn't known."""

from __future__ import annotations

import enum
from datetime import date
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ocppress_gateway.config_admin import Role
from ocppress_gateway.core.events import Handling
from ocppress_gateway.core.identity import IDENTITY_PATTERN
from ocppress_gateway.core.plan import PlanName

__all__ = [
    "DAYS_MAX",
    "LETTERS_MAX",
    "OFFSET_MAX",
    "PAGE_MAX",
    "SEARCH_CHARACTERS_MAX",
    "BothWays",
    "DayUsage",
    "DeadLetterQuery",
    "DeadLetterView",
    "DeadLetters",
    "Flushed",
    "Health",
    "Identity",
    "LedgerRow",
    "MessageQuery",
    "MessageView",
    "Messages",
    "Month",
    "Order",
    "PlanChange",
    "PlanState",
    "Problem",
    "Readiness",
    "Station",
    "StationQuery",
    "Stations",
    "Trouble",
    "Usage",
    "UsageQuery",
    "Whoami",
]

PAGE_MAX: Final = 500
"""Stations of one page: half a megabyte of JSON."""

OFFSET_MAX: Final = 1_000_000
"""More stations than one cloud has."""

SEARCH_CHARACTERS_MAX: Final = 48
"""As long as an identity may be."""

DAYS_MAX: Final = 430
"""As many as the account keeps."""

LETTERS_MAX: Final = 1000
"""Dead letters of one answer, as of `ocppress dead list`."""

REASON_CHARACTERS_MAX: Final = 100
"""Of a reason: with who gave it, it has to fit into a plan's own and into one part of the link."""

_NO_CONTROL: Final = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*"
_ONE_LINE: Final = rf"^{_NO_CONTROL}[^\s\x00-\x1f\x7f-\x9f\u2028\u2029]{_NO_CONTROL}\Z"
"""Something, in one line."""

Identity = Annotated[str, Meta(pattern=IDENTITY_PATTERN, description="A station's identity.")]
Count = Annotated[int, Meta(ge=0)]


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is answered."""


class _Taken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is asked."""


# --- asked


class Order(enum.StrEnum):
    """Of stations."""

    IDENTITY = "identity"
    WORST = "worst"


class StationQuery(_Taken, frozen=True, kw_only=True):
    """Which stations."""

    search: Annotated[
        str, Meta(max_length=SEARCH_CHARACTERS_MAX, description="Part of the identity, or of the edge's name, in any case.")
    ] = ""
    troubled: Annotated[bool, Meta(description="Only those with troubles.")] = False
    order: Annotated[Order, Meta(description="By identity, or those with the worst troubles first.")] = Order.IDENTITY
    offset: Annotated[int, Meta(ge=0, le=OFFSET_MAX, description="How many to leave out, in that order.")] = 0
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX, description="How many to give at most.")] = 100


class UsageQuery(_Taken, frozen=True, kw_only=True):
    """How far back."""

    days: Annotated[int, Meta(ge=1, le=DAYS_MAX, description="Days, today among them; those of which nothing is known are left out.")] = 31


class MessageQuery(_Taken, frozen=True, kw_only=True):
    """Which of a station's messages."""

    after: Annotated[int, Meta(ge=0, le=2**53, description="Only those with a larger number.")] = 0


class DeadLetterQuery(_Taken, frozen=True, kw_only=True):
    """Which dead letters."""

    station: Annotated[Identity | None, Meta(description="Of this station only.")] = None
    limit: Annotated[int, Meta(ge=1, le=LETTERS_MAX, description="How many to give at most, the oldest first.")] = 100


class PlanChange(_Taken, frozen=True, kw_only=True):
    """Which plan from now on, and why."""

    plan: PlanName
    reason: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=REASON_CHARACTERS_MAX,
            pattern=_ONE_LINE,
            description="For those who look later: one line, kept with the plan and logged with your name.",
        ),
    ]


# --- answered


class BothWays(_Given, frozen=True, kw_only=True):
    """Bytes of both directions."""

    up: Count
    down: Count


class PlanState(_Given, frozen=True, kw_only=True):
    """The plan of the SIM that the station is behind."""

    plan: PlanName
    step: Annotated[PlanName, Meta(description="Where the plan `auto` stands now; else the same.")]
    delay_s: Annotated[
        float | None, Meta(description="How long a batched message waits at most; null where nothing is answered early.")
    ] = None
    reason: str | None = None


class Month(_Given, frozen=True, kw_only=True):
    """The SIM's billing month so far, others than the gateway included where they are known."""

    total_bytes: Count
    budget_bytes: Count
    percent: float
    projection_bytes: Annotated[Count | None, Meta(description="At this pace, at the month's end.")] = None
    first: Annotated[date | None, Meta(description="Its first day; at an edge. See also its usage.")] = None
    end: Annotated[date | None, Meta(description="The first day of the next; at an edge.")] = None
    told: Annotated[date | None, Meta(description="The last day that is in these figures.")] = None


class Trouble(enum.StrEnum):
    """What is wrong with a station, the worst first."""

    OVER_BUDGET = "over budget"
    DEAD_LETTERS = "dead letters"
    LINK_DOWN = "link down"
    SILENT = "silent"
    """Nothing has come of it for a day, or it hasn't been here since the start."""
    BUDGET_SHORT = "budget short"
    """At this pace it will be over budget at the month's end."""


class Station(_Given, frozen=True, kw_only=True):
    """A station as this program knows it."""

    identity: Identity
    edge: Annotated[str | None, Meta(description="The edge's name, at a cloud.")] = None
    state: Annotated[
        str, Meta(description="Of its socket: to the edge at an edge, to the CSMS at a cloud; `unseen` if it hasn't come since the start.")
    ]
    ocpp: str = ""
    link_up: bool
    seen_s: Annotated[
        float | None, Meta(description="How long ago the link was last up; 0 while it is, null if it never was since the start.")
    ] = None
    heard_s: Annotated[
        float | None,
        Meta(
            description="How long ago its last message came here, which at a cloud may be as much later than it was said as the plan allows; null if none"
            " has since the start."
        ),
    ] = None
    waiting: Annotated[int, Meta(ge=0, description="Messages that wait to be sent on.")] = 0
    undelivered: Annotated[int, Meta(ge=0, description="Messages answered early that the CSMS hasn't answered.")] = 0
    repeats: Count = 0
    accepted: Annotated[bool | None, Meta(description="Whether its last BootNotification was; at an edge.")] = None
    clock_offset_s: Annotated[float | None, Meta(description="The edge's clock less the CSMS's.")] = None
    dead_letters: Annotated[Count | None, Meta(description="At a cloud.")] = None
    outbox_messages: Annotated[Count | None, Meta(description="In the edge's outbox, all its stations together.")] = None
    plan: PlanState | None = None
    month: Month | None = None
    troubles: Annotated[list[Trouble], Meta(description="The worst first; `silent` is one of which nothing has come for a day.")] = []


class Stations(_Given, frozen=True, kw_only=True):
    """A page of stations."""

    total: Annotated[int, Meta(ge=0, description="How many the search finds.")]
    stations: list[Station]


class DayUsage(_Given, frozen=True, kw_only=True):
    """A day of the SIM, IP bytes."""

    day: date
    ours_bytes: Annotated[int, Meta(ge=0, description="What the gateway caused, both directions.")]
    others_bytes: Annotated[Count | None, Meta(description="What else passed the SIM; null where its interface isn't known.")] = None
    month_bytes: Annotated[Count | None, Meta(description="The SIM's billing month up to this day; null for a former month's.")] = None
    layers: Annotated[dict[str, BothWays] | None, Meta(description="The gateway's, as counted, by layer; at an edge.")] = None
    actions: Annotated[dict[str, BothWays] | None, Meta(description="Its payload by action; at an edge.")] = None
    station: Annotated[BothWays | None, Meta(description="This station's share of the payload; at an edge.")] = None


class Usage(_Given, frozen=True, kw_only=True):
    """The days of the SIM that a station is behind, the oldest first."""

    identity: Identity
    edge: str | None = None
    month_first: Annotated[
        date | None,
        Meta(description="The first day of the SIM's billing month; at a cloud null until reports have told of the month before."),
    ] = None
    month_end: Annotated[date | None, Meta(description="The first day of the next.")] = None
    days: list[DayUsage]


class Flushed(_Given, frozen=True, kw_only=True):
    """What there was to be sent."""

    identity: Identity
    undelivered: Count
    link_up: bool


class MessageView(_Given, frozen=True, kw_only=True):
    """A message between a station, or a CSMS, and this program."""

    number: Annotated[int, Meta(ge=1, description="From 1 on, as they passed.")]
    unix_s: float
    direction: Annotated[Literal["up", "down"], Meta(description="`up` from the station to the CSMS.")]
    kind: Annotated[str | None, Meta(description="`CALL`, `CALLRESULT`, `CALLERROR`, `CALLRESULTERROR`, `SEND`; null if it isn't OCPP-J.")]
    action: Annotated[str, Meta(description="Of an answer its CALL's; empty if that isn't known.")]
    message_id: Annotated[str, Meta(description="Empty of an answer whose CALL isn't known.")]
    text_bytes: Annotated[int, Meta(ge=0, description="Of the whole text, as the station or the CSMS has it.")]
    handling: Annotated[
        Handling | None,
        Meta(
            description="Of a CALL and its answer: `relayed`, `early` if the edge answers it once it is on the disk and sends it later, `here` if this"
            " program answers or asks by itself; null if that isn't known, or not yet."
        ),
    ]
    text: Annotated[
        str | None,
        Meta(description="The payload, with `***` for secrets, and cut; null if it isn't OCPP-J, or too long to be searched for secrets."),
    ]


class Messages(_Given, frozen=True, kw_only=True):
    """What has passed of a station since somebody began to look, the newest fifty at most, the oldest first."""

    identity: Identity
    since_unix_s: float
    until_unix_s: Annotated[float, Meta(description="When this ends, and all of it is forgotten; sooner if nobody asks for 30 s.")]
    left_out: Annotated[int, Meta(ge=0, description="Messages that came faster than 50 in a second, and aren't here.")]
    messages: list[MessageView]


class DeadLetterView(_Given, frozen=True, kw_only=True):
    """A transaction message that the CSMS has refused for good, without what is in it."""

    key: int
    station: str
    ocpp: str
    action: str
    error_code: str
    attempts: int
    given_up_unix_s: float


class DeadLetters(_Given, frozen=True, kw_only=True):
    """Dead letters, the oldest first."""

    total: Annotated[int, Meta(ge=0, description="How many there are of all stations.")]
    letters: list[DeadLetterView]


class LedgerRow(_Given, frozen=True, kw_only=True):
    """A line of the account of bytes."""

    day: date
    edge: str
    line: Annotated[
        str, Meta(description="`layer`, `action`, `station`, `estimated`, `sim`, `rounding`; at a cloud `ours`, `others`, `month`.")
    ]
    name: str
    direction: Annotated[str, Meta(description="`up`, `down` or `both`.")]
    bytes: Count


class Whoami(_Given, frozen=True, kw_only=True):
    """Who asks."""

    name: str
    role: Role
    program: str
    version: str


class Health(_Given, frozen=True, kw_only=True):
    """The process lives."""

    status: str
    reason: str | None = None


class Readiness(_Given, frozen=True, kw_only=True):
    """Whether it can do what it is there for, and why not."""

    ready: bool
    reasons: list[str]


class Problem(_Given, frozen=True, kw_only=True):
    """RFC 9457."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
