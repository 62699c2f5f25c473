"""The configuration files of edge and cloud: TOML into frozen structs.

Defaults stand here and nowhere else; the README's tables and the files in `deploy/` are made from these declarations (see `config_text`).
Unknown keys are refused. Secrets are never in the file, only the name of a file that holds one, or a hash: so a configuration may be shown, hashes masked.
Relative paths are relative to the file that names them.

Constraints are checked when a file is read, not by the constructors: code that makes a configuration uses `edge_from` and `cloud_from`.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, time, tzinfo
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from ocppress_codecs.interface import CodecName
from ocppress_gateway.config_admin import AdminConfig
from ocppress_gateway.core.broker_topics import PREFIX_PATTERN
from ocppress_gateway.core.identity import CLOUD_NAME, EDGE_NAME_PATTERN, IDENTITY_PATTERN
from ocppress_gateway.core.keepalive import SILENCES, START_S
from ocppress_gateway.core.measurands import MEASURANDS
from ocppress_gateway.core.parts import REACHABILITY_MAX_S
from ocppress_gateway.core.plan import PROBE_BYTES, PlanName
from ocppress_gateway.core.suppression import SuppressionSettings
from ocppress_gateway.core.transfer_rules import TransferRules, Window
from ocppress_gateway.errors import ConfigError
from ocppress_gateway.masking import MASK

__all__ = [
    "PING_BYTES",
    "CloudConfig",
    "CloudLinkConfig",
    "CloudLinkTls",
    "CloudTimeouts",
    "CsmsConfig",
    "EdgeConfig",
    "EdgeEntry",
    "EdgeLinkConfig",
    "EdgeTimeouts",
    "FleetConfig",
    "LinkTls",
    "LogConfig",
    "OutboxConfig",
    "SimConfig",
    "StationTls",
    "StationsConfig",
    "SuppressionConfig",
    "TransfersConfig",
    "cloud_from",
    "edge_from",
    "effective_json",
    "load",
    "load_cloud",
    "load_edge",
]

_FILE_BYTES_MAX: Final = 1024 * 1024
"""Ten thousand edges with a station each take half of it; what is larger isn't a configuration."""

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86400)]
LinkLife = Annotated[float, Meta(ge=5, le=86400)]
"""How long a CALL may be under way across the link. Of that the far end takes off up to 1 s, for deadlines cross in whole seconds, up to
2.2 s for the drift of two clocks, and the link's round trip (see `core.clock`): less than 5 s could be nothing."""
Band = Annotated[float, Meta(ge=0, le=1e9)]
Action = Annotated[str, Meta(pattern=r"^[A-Za-z]{1,64}\Z")]
Identity = Annotated[str, Meta(pattern=IDENTITY_PATTERN)]
InterfaceName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}\Z")]
"""Of Linux (IFNAMSIZ); the name is part of a path, and begins no other."""
EdgeName = Annotated[str, Meta(pattern=EDGE_NAME_PATTERN)]
_HOUR: Final = "([01][0-9]|2[0-3]):[0-5][0-9]"
_WINDOW_PATTERN: Final = rf"^{_HOUR}-{_HOUR}\Z"
_HOST_PATTERN: Final = r"^[A-Za-z0-9_.:-]{1,253}\Z"
"""A host name, or an address of either kind, without brackets and port."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all tables."""


def _zone(name: str) -> tzinfo:
    """UTC also on a machine that knows no zones. Raises what `ZoneInfo` does."""
    return UTC if name == "UTC" else ZoneInfo(name)


def _check_zone(name: str) -> None:
    try:
        _zone(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"`time_zone` {name!r} isn't known on this machine (packages `tzdata` have them)") from None


class LogConfig(_Table, frozen=True, kw_only=True):
    """What the program says about itself, on standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="The least severe lines to print.")] = "info"
    format: Annotated[Literal["text", "json"], Meta(description="`text` is `key=value`, `json` one object a line.")] = "text"


class StationTls(_Table, frozen=True, kw_only=True):
    """TLS towards the stations."""

    certificate_file: Annotated[Path, Meta(description="PEM certificate, intermediates after it, that the stations trust.")]
    key_file: Annotated[Path, Meta(description="PEM private key of the certificate, unencrypted, mode 0600.")]


class LinkTls(_Table, frozen=True, kw_only=True):
    """TLS 1.3 with certificates at both ends of the link, as `ocppress ca` makes them."""

    ca_file: Annotated[Path, Meta(description="PEM certificate of the private CA that signed the far end's.")]
    certificate_file: Annotated[Path, Meta(description="PEM certificate of this end; a leaf alone costs the link least.")]
    key_file: Annotated[Path, Meta(description="PEM private key of the certificate, unencrypted, mode 0600.")]


class EdgeLinkTls(LinkTls, frozen=True, kw_only=True):
    """TLS 1.3 with certificates at both ends of the link, as `ocppress ca` makes them."""

    psk_file: Annotated[
        Path | None,
        Meta(
            description="A key shared with the cloud (64 hexadecimal digits), which then takes the certificates' place: Python 3.13 or later."
        ),
    ] = None
    psk_name: Annotated[EdgeName | None, Meta(description="This edge's name, with `psk_file`; without, the certificate has it.")] = None

    def __post_init__(self) -> None:
        if (self.psk_file is None) is not (self.psk_name is None):
            raise ValueError("`psk_file` and `psk_name` go together")


# --- edge


PING_BYTES: Final = 168
"""IP bytes of MQTT's PINGREQ and PINGRESP with their acknowledgement, as `bench/link.py` measures it."""


def _month_mb(silence_s: int, each_bytes: int) -> str:
    """What a probe or ping after each such silence costs in a month of 30 days."""
    return f"{30 * 86_400 / silence_s * each_bytes / 1e6:.2f}"


class StationsConfig(_Table, frozen=True, kw_only=True):
    """Where the stations connect: `ws://HOST:PORT/any/path/IDENTITY`, or `wss://` with `tls`."""

    host: Annotated[str, Meta(min_length=1, description="Address to listen on; `0.0.0.0` for all of IPv4.")] = "0.0.0.0"
    port: Annotated[Port, Meta(description="Port to listen on.")] = 8887
    daily_mb: Annotated[
        Annotated[float, Meta(gt=0, le=1_000_000)] | None,
        Meta(
            description="What one station may cost the link in a day, in MB of 1,000,000 bytes; without it, anything. One that has used it up is"
            " refused all but transactions, BootNotification and Authorize; one that has used twice as much is sent away for an hour or more."
        ),
    ] = None
    tls: StationTls | None = None

    @property
    def daily_bytes(self) -> int | None:
        """`daily_mb` in bytes."""
        return None if self.daily_mb is None else max(1, round(self.daily_mb * 1_000_000))


class EdgeLinkConfig(_Table, frozen=True, kw_only=True):
    """The way to the cloud."""

    url: Annotated[
        str,
        Meta(
            description="The cloud's `wss://HOST:PORT/`, or the `mqtts://HOST:PORT/` of a broker where it is, with a prefix for topics if others"
            " use it, too; `ws://` and `mqtt://` are for development, nothing on them is secret."
        ),
    ]
    edge: Annotated[
        EdgeName | None, Meta(description="This edge's name, that of its certificate; not for `wss://`, where the certificate is enough.")
    ] = None
    tls: EdgeLinkTls | None = None
    codec: Annotated[CodecName, Meta(description="How messages are written on the link.")] = CodecName.ADAPTIVE
    linger_ms: Annotated[
        int, Meta(ge=0, le=1000, description="How long a message waits for others to share its packet, in milliseconds.")
    ] = 20
    reachability_s: Annotated[
        int,
        Meta(
            ge=180,
            le=REACHABILITY_MAX_S,
            description="How long a dead link may look alive. The edge searches each network for the longest silence it allows, up to two thirds of"
            f" this, and probes after it: {_month_mb(1500, PROBE_BYTES)} MB a month at 25 minutes, {_month_mb(START_S, PROBE_BYTES)} MB at {START_S // 60},"
            f" where it begins. At a broker, which sees no probes, two thirds of this are MQTT's Keep Alive besides: {_month_mb(1500, PING_BYTES)} MB a month"
            " at most at 25 minutes, less with traffic.",
        ),
    ] = 2250
    keepalive_s: Annotated[
        Annotated[int, Meta(ge=30, le=7200)] | None,
        Meta(description="Probe after this silence, and search for none; no plan waits longer than the silence that is known to be safe."),
    ] = None
    when_lost: Annotated[
        Literal["mirror", "serve"],
        Meta(
            description="What stations see of a lost link: `mirror` closes their sockets after `link_grace_s`, so that they queue by themselves;"
            " `serve` keeps them and answers what may be answered, for stations without a queue."
        ),
    ] = "mirror"

    def __post_init__(self) -> None:
        if self.keepalive_s is not None and SILENCES * self.keepalive_s > self.reachability_s:
            raise ValueError(f"`keepalive_s` {self.keepalive_s} is more than two thirds of `reachability_s` {self.reachability_s}")
        scheme = _url(self.url, "ws", "wss", "mqtt", "mqtts").scheme
        _check_link(scheme, self.tls)
        if self.tls is not None and self.tls.psk_file is not None and scheme != "wss":
            raise ValueError("`psk_file` is for a `wss://` link: a broker goes by certificates")
        if scheme == "wss":
            if self.edge is not None:
                raise ValueError("`edge` is not for `wss://`: the certificate names the edge")
        elif self.edge is None:
            raise ValueError(f"a `{scheme}://` link needs `edge`, the edge's name")
        elif self.over_mqtt and self.edge == CLOUD_NAME:
            raise ValueError(f"`edge` can't be `{CLOUD_NAME}` at a broker")

    @property
    def over_mqtt(self) -> bool:
        """Whether edge and cloud meet at a broker."""
        return self.url.startswith("mqtt")

    @property
    def ping_s(self) -> int:
        """MQTT's Keep Alive: half as much again without a packet, and the broker publishes the will."""
        return int(self.reachability_s / SILENCES)

    @property
    def remark(self) -> str:
        """What an operator may not expect of these values, "" if nothing."""
        if not self.over_mqtt:
            return ""
        return (
            f"at a broker, `reachability_s` {self.reachability_s} is a Keep Alive of {self.ping_s} s: the broker finds a dead link after half as much again,"
            f" unless it has a Server Keep Alive of its own; {PING_BYTES} bytes each ping, {_month_mb(self.ping_s, PING_BYTES)} MB a month at most"
        )


class EdgeTimeouts(_Table, frozen=True, kw_only=True):
    """How long the edge waits for what."""

    station_timeout_s: Annotated[LinkLife, Meta(description="When a station gives up waiting for an answer; no CALL is relayed later.")] = (
        60.0
    )
    upgrade_wait_s: Annotated[Seconds, Meta(description="How long a station's upgrade may wait for the CSMS's answer.")] = 8.0
    link_grace_s: Annotated[Seconds, Meta(description="How long the link may be down before the stations' sockets are closed.")] = 60.0
    station_grace_s: Annotated[
        float,
        Meta(ge=0, le=3600, description="How long a station may be gone before the cloud is told; coming back costs the link nothing."),
    ] = 20.0
    drain_s: Annotated[
        float, Meta(ge=0, le=3600, description="How long the cloud isn't told while something of the station is still to be sent.")
    ] = 60.0
    shutdown_s: Annotated[Seconds, Meta(description="How long SIGTERM may take to send what waits.")] = 10.0
    reconnect_min_s: Annotated[Seconds, Meta(description="First wait before connecting to the cloud again; doubled each time.")] = 1.0
    reconnect_max_s: Annotated[Seconds, Meta(description="Longest wait before connecting to the cloud again.")] = 60.0

    def __post_init__(self) -> None:
        if self.reconnect_min_s > self.reconnect_max_s:
            raise ValueError("`reconnect_min_s` is more than `reconnect_max_s`")


class OutboxConfig(_Table, frozen=True, kw_only=True):
    """What may wait on the edge's disk. Beyond it nothing more is answered early, so that stations keep what is new; what waits is never dropped."""

    size_mib: Annotated[int, Meta(ge=1, le=1024, description="How much may wait, in MiB of 1,048,576 bytes.")] = 64
    age_days: Annotated[
        float, Meta(gt=0, le=365, description="How long the oldest may have waited, in days of a running edge, whatever its clock says.")
    ] = 14.0

    @property
    def size_bytes(self) -> int:
        """`size_mib` in bytes."""
        return self.size_mib * 1024 * 1024

    @property
    def age_s(self) -> float:
        """`age_days` in seconds."""
        return self.age_days * 86400


class SuppressionConfig(_Table, frozen=True, kw_only=True):
    """Meter values outside transactions that say nothing new and are dropped, which OCPP allows (J01); nothing of a transaction ever is."""

    silence_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86400,
            description="How long nothing at all may be heard of a connector before its values are sent anyway; 0 drops nothing.",
        ),
    ] = 0.0
    bands: Annotated[
        dict[str, Band | dict[str, Any]],
        Meta(
            description="How far a value may lie from what was sent last, by measurand in quotes, in the station's unit:"
            ' `{ "Voltage" = 2.0, "Current.Import" = 0.1 }`; of another measurand it must be the same number.'
        ),
    ] = {}

    def __post_init__(self) -> None:
        for name, band in self.bands.items():
            if isinstance(band, dict):  # what TOML makes of dots
                raise ValueError(f'`bands` has a measurand without quotes; its name belongs in quotes: "{name}.{next(iter(band), "…")}"')
            if name not in MEASURANDS:
                close = difflib.get_close_matches(name, MEASURANDS, n=1)
                raise ValueError(f"`bands` has {name!r}, which is no measurand of OCPP" + (f"; is it {close[0]!r}?" if close else ""))
        if self.bands and not self.silence_s:
            raise ValueError("`bands` are of no use without `silence_s`")

    @property
    def settings(self) -> SuppressionSettings | None:
        """What is dropped; None for nothing."""
        bands = {name: band for name, band in self.bands.items() if not isinstance(band, dict)}
        return SuppressionSettings(self.silence_s, bands) if self.silence_s else None


class SimConfig(_Table, frozen=True, kw_only=True):
    """The SIM card and what its month may cost."""

    interface: Annotated[
        InterfaceName | None,
        Meta(description="The SIM's network interface, `wwan0` or the like, whose counters also show what others than the edge use."),
    ] = None
    budget_mb: Annotated[float, Meta(gt=0, le=1_000_000, description="What the SIM may use in a month, in MB of 1,000,000 bytes.")] = 25.0
    first_day: Annotated[
        int, Meta(ge=1, le=31, description="Day on which the carrier's month begins; the last one where there is none.")
    ] = 1
    time_zone: Annotated[str, Meta(description="Where its day begins: a name like `Europe/Berlin`.")] = "UTC"
    rounding_bytes: Annotated[
        int,
        Meta(
            ge=0, le=10_000_000, description="Unit that the carrier rounds each session up to, 1024 for started KB; 0 if it counts bytes."
        ),
    ] = 0

    def __post_init__(self) -> None:
        _check_zone(self.time_zone)

    @property
    def budget_bytes(self) -> int:
        """`budget_mb` in bytes."""
        return round(self.budget_mb * 1_000_000)

    @property
    def zone(self) -> tzinfo:
        """`time_zone`."""
        return _zone(self.time_zone)


class EdgeConfig(_Table, frozen=True, kw_only=True):
    """`edge.toml`"""

    plan: Annotated[
        PlanName,
        Meta(
            description="Freshness against bytes: `transparent` relays everything at once; `live` (60 s), `2min`, `5min` and `saver` (15 min)"
            " answer early what may be, and let it wait so long; `auto` goes from one to the other as the budget allows."
        ),
    ] = PlanName.AUTO
    relay: Annotated[tuple[Action, ...], Meta(description="Actions that are never answered early.")] = ()
    answer: Annotated[
        tuple[Literal["TransactionEvent"], ...],
        Meta(
            description="Actions answered early though the CSMS's answer may have content, which is lost: `TransactionEvent` without idToken."
        ),
    ] = ()
    state_folder: Annotated[Path, Meta(description="Where the outbox and the account of bytes are kept; made with mode 0700.")] = Path(
        "state"
    )
    stations: StationsConfig = StationsConfig()
    link: EdgeLinkConfig
    timeouts: EdgeTimeouts = EdgeTimeouts()
    outbox: OutboxConfig = OutboxConfig()
    suppression: SuppressionConfig = SuppressionConfig()
    sim: SimConfig = SimConfig()
    log: LogConfig = LogConfig()
    admin: AdminConfig | None = None


# --- cloud


class CloudLinkTls(LinkTls, frozen=True, kw_only=True):
    """TLS 1.3 with certificates at both ends of the link, as `ocppress ca` makes them."""

    revoked_file: Annotated[
        Path | None,
        Meta(
            description="Edges that are locked out, as `ocppress ca revoke` lists them. Read again when it changes; it never runs out, as a CRL"
            " would, and with it all edges."
        ),
    ] = None
    renewals_folder: Annotated[
        Path | None,
        Meta(description="Renewed certificates, `EDGE.pem`, as `ocppress ca renew` makes them, which the cloud sends to their edges."),
    ] = None
    issuer_key_file: Annotated[
        Path | None,
        Meta(
            description="The CA's key, for a cloud that shall renew edges' certificates by itself. Whoever takes this machine over then"
            " has the CA."
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.issuer_key_file is not None and self.renewals_folder is None:
            raise ValueError("`issuer_key_file` needs `renewals_folder`")


class CloudLinkConfig(_Table, frozen=True, kw_only=True):
    """Where the edges connect."""

    broker: Annotated[
        str | None,
        Meta(
            description="`mqtts://HOST:PORT/` of a broker where the edges are, instead of `host` and `port` to listen on; with the edges' prefix, if"
            " they have one. `mqtt://` is for development."
        ),
    ] = None
    host: Annotated[str, Meta(min_length=1, description="Address to listen on; `0.0.0.0` for all of IPv4.")] = "0.0.0.0"
    port: Annotated[Port, Meta(description="Port to listen on.")] = 8886
    proxy_from: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks of the load balancers, `10.1.0.0/24` for instance, which then begin each connection with the PROXY protocol (1 or 2):"
            " nobody else can connect, and logs have the edges' own addresses."
        ),
    ] = ()
    tls: CloudLinkTls | None = None

    def __post_init__(self) -> None:
        if self.broker is not None:
            _check_link(_url(self.broker, "mqtt", "mqtts", key="broker").scheme, self.tls)
            if self.tls is not None and (self.tls.revoked_file or self.tls.renewals_folder):
                raise ValueError("`revoked_file` and `renewals_folder` are not for a cloud at a broker, which sees no edge's certificate")
            if self.proxy_from:
                raise ValueError("`proxy_from` is for a cloud that listens, not for one at a broker")
        for network in self.proxy_from:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"`proxy_from` has no network: {error}") from None


class CsmsConfig(_Table, frozen=True, kw_only=True):
    """The way to the CSMS, one WebSocket a station."""

    url: Annotated[
        str, Meta(description="The stations' URL at the CSMS, with `{identity}` where the identity goes: `wss://HOST/ocpp/{identity}`.")
    ]
    ca_file: Annotated[Path | None, Meta(description="PEM certificates to trust for `wss://` instead of the system's.")] = None
    certificate_file: Annotated[
        Path | None,
        Meta(
            description="PEM certificate that the cloud shows a CSMS of security profile 3, intermediates after it; one for all stations."
        ),
    ] = None
    key_file: Annotated[Path | None, Meta(description="PEM private key of this certificate, unencrypted, mode 0600.")] = None
    call_timeout_s: Annotated[Seconds, Meta(description="How long the CSMS may take to answer a CALL; then its socket is closed.")] = 30.0
    connect_timeout_s: Annotated[
        Seconds, Meta(description="How long connecting to the CSMS may take; less than the edge's `upgrade_wait_s`.")
    ] = 7.0
    retry_wait_min_s: Annotated[Seconds, Meta(description="RetryBackOffWaitMinimum: wait before the first reconnection.")] = 10.0
    retry_random_s: Annotated[
        float, Meta(ge=0, le=3600, description="RetryBackOffRandomRange: at most this is added to each wait, at random.")
    ] = 10.0
    retry_repeat_times: Annotated[int, Meta(ge=0, le=16, description="RetryBackOffRepeatTimes: how often the wait is doubled.")] = 5
    message_attempts: Annotated[
        int, Meta(ge=1, le=100, description="MessageAttempts: how often a transaction message that the edge has answered is put to it.")
    ] = 3
    message_attempt_interval_s: Annotated[
        Seconds, Meta(description="MessageAttemptInterval: the wait between these, times the attempts before.")
    ] = 60.0

    def __post_init__(self) -> None:
        if self.url.count("{identity}") != 1 or self.url.count("{") != 1 or self.url.count("}") != 1:
            raise ValueError("`url` must contain `{identity}` exactly once, and no other braces")
        parts = _url(self.url, "ws", "wss")
        if "{identity}" not in parts.path:
            raise ValueError("`{identity}` belongs in the path of `url`")
        if (self.certificate_file is None) is not (self.key_file is None):
            raise ValueError("`certificate_file` and `key_file` go together")
        for name, file in (("ca_file", self.ca_file), ("certificate_file", self.certificate_file)):
            if file is not None and parts.scheme != "wss":
                raise ValueError(f"`{name}` is for a `wss://` CSMS")


class EdgeEntry(_Table, frozen=True, kw_only=True):
    """An edge that may connect, and the stations it may speak for."""

    name: Annotated[EdgeName, Meta(description="The edge's name: the common name of its certificate.")]
    stations: Annotated[tuple[Identity, ...], Meta(min_length=1, description='Identities of its stations; `["*"]` for any.')]
    psk_file: Annotated[
        Path | None, Meta(description="A key shared with this edge, as its `[link.tls] psk_file`: Python 3.13 or later.")
    ] = None

    def __post_init__(self) -> None:
        if "*" in self.stations and len(self.stations) > 1:
            raise ValueError('`stations` is either `["*"]` or a list of identities')


class FleetConfig(_Table, frozen=True, kw_only=True):
    """Several clouds that share the edges behind a load balancer, and what they must not forget on a Redis or Valkey."""

    store: Annotated[
        str, Meta(description="`rediss://HOST[:PORT][/DATABASE]` of the server; `redis://` is for a network that is nobody else's.")
    ]
    user: Annotated[str | None, Meta(description="Name in the server's access list; without it, the server's default user.")] = None
    password_file: Annotated[Path | None, Meta(description="File with the password at the server, mode 0600.")] = None
    ca_file: Annotated[Path | None, Meta(description="PEM certificates to trust for `rediss://` instead of the system's.")] = None

    def __post_init__(self) -> None:
        parts = _url(self.store, "redis", "rediss", key="store")
        if not re.fullmatch(r"/?|/[0-9]{1,4}", parts.path):
            raise ValueError("the path of `store` is the number of a database, or nothing")
        if self.user is not None and self.password_file is None:
            raise ValueError("`user` needs `password_file`")
        if self.ca_file is not None and parts.scheme != "rediss":
            raise ValueError("`ca_file` is for a `rediss://` store")


class CloudTimeouts(_Table, frozen=True, kw_only=True):
    """How long the cloud waits for what."""

    link_grace_s: Annotated[Seconds, Meta(description="How long an edge may be away before its stations' CSMS sockets are closed.")] = 60.0
    command_timeout_s: Annotated[LinkLife, Meta(description="How long a CALL of the CSMS is worth delivering to a station.")] = 30.0
    shutdown_s: Annotated[Seconds, Meta(description="How long SIGTERM may take to send what waits.")] = 10.0


class TransfersConfig(_Table, frozen=True, kw_only=True):
    """Files that a CSMS has stations fetch or send (firmware, logs), past the gateway over the SIM: each is reported, and refused if a key here says so."""

    window: Annotated[
        Annotated[str, Meta(pattern=_WINDOW_PATTERN)] | None,
        Meta(
            description="When transfers may begin, a part of each day: `01:00-05:00`. One that would begin at another time is refused, and its CSMS is"
            " told when the next window begins."
        ),
    ] = None
    time_zone: Annotated[str, Meta(description="Whose clock `window` goes by: a name like `Europe/Berlin`.")] = "UTC"
    mb_max: Annotated[
        Annotated[float, Meta(ge=0, le=1_000_000)] | None,
        Meta(
            description="How large a file may be that a station is to fetch, in MB of 1,000,000 bytes, where its server tells over HTTP; what isn't"
            " known passes. 0 refuses all transfers, either way."
        ),
    ] = None
    budget_percent_max: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)] | None,
        Meta(
            description="Stations of an edge whose SIM has used so much of its month's budget transfer nothing more: in percent, by the edge's last daily"
            " report; before the first one they may."
        ),
    ] = None
    hosts: Annotated[
        tuple[Annotated[str, Meta(pattern=_HOST_PATTERN)], ...],
        Meta(
            description="Servers that the cloud may ask how large a file is though their addresses are private, as they stand in URLs; public ones"
            " need no entry."
        ),
    ] = ()

    def __post_init__(self) -> None:
        _check_zone(self.time_zone)
        if self.window is not None and len(set(self.window.split("-"))) == 1:
            raise ValueError(f"`window` {self.window} has no length")

    @property
    def rules(self) -> TransferRules:
        """What the machine goes by."""
        window = None
        if self.window is not None:
            begin, end = map(time.fromisoformat, self.window.split("-"))
            window = Window(begin, end, _zone(self.time_zone))
        return TransferRules(window, None if self.mb_max is None else round(self.mb_max * 1_000_000), self.budget_percent_max)


class CloudConfig(_Table, frozen=True, kw_only=True):
    """`cloud.toml`"""

    state_folder: Annotated[
        Path,
        Meta(
            description="Where is kept how far the CSMS has answered, what it refused, and over a restart the stations' contexts; made with mode 0700."
        ),
    ] = Path("state")
    stop_late_rejected: Annotated[
        bool,
        Meta(
            description="Whether the gateway sends RequestStopTransaction to a station (2.x) when the CSMS's answer to a TransactionEvent that the edge"
            " had answered early says that its idToken isn't Accepted: the station no longer hears that answer."
        ),
    ] = False
    link: CloudLinkConfig = CloudLinkConfig()
    csms: CsmsConfig
    transfers: TransfersConfig = TransfersConfig()
    fleet: FleetConfig | None = None
    timeouts: CloudTimeouts = CloudTimeouts()
    log: LogConfig = LogConfig()
    admin: AdminConfig | None = None
    edges: Annotated[tuple[EdgeEntry, ...], Meta(description="One `[[edges]]` for each edge that may connect.")] = ()

    def __post_init__(self) -> None:
        if self.link.broker is not None and any(entry.psk_file is not None for entry in self.edges):
            raise ValueError("`psk_file` is for edges that connect here: a broker goes by certificates")
        for what, names in (
            ("edge", [entry.name for entry in self.edges]),
            ("station", [identity for entry in self.edges for identity in entry.stations if identity != "*"]),
        ):
            for name, count in Counter(names).items():
                if count > 1:
                    raise ValueError(f"{what} {name!r} stands in `edges` {count} times")


# --- reading


def load_edge(path: Path) -> EdgeConfig:
    """Read `edge.toml`; raises `ConfigError`. Files that it names exist and can be read."""
    return edge_from(_toml(path), path)


def load_cloud(path: Path) -> CloudConfig:
    """Read `cloud.toml`; raises `ConfigError`. Files that it names exist and can be read."""
    return cloud_from(_toml(path), path)


def load(path: Path) -> EdgeConfig | CloudConfig:
    """Read whichever of the two it is: only `cloud.toml` has the table `csms`. Raises `ConfigError`."""
    values = _toml(path)
    return cloud_from(values, path) if "csms" in values else edge_from(values, path)


def edge_from(values: Mapping[str, Any], path: Path) -> EdgeConfig:
    """The configuration that a file at `path` with these values would give; raises `ConfigError`."""
    return _convert(values, path, EdgeConfig)


def cloud_from(values: Mapping[str, Any], path: Path) -> CloudConfig:
    """The configuration that a file at `path` with these values would give; raises `ConfigError`."""
    return _convert(values, path, CloudConfig)


def effective_json(config: EdgeConfig | CloudConfig) -> str:
    """The whole configuration, defaults included, paths absolute and hashes masked, as indented JSON."""
    text = msgspec.json.format(msgspec.json.encode(config, enc_hook=str), indent=2).decode()
    return re.sub(r'("(?:password|token)_hash": )"[^"]*"', rf'\1"{MASK}"', text)


Config = TypeVar("Config", EdgeConfig, CloudConfig)


def _toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(path, "", error.strerror or "cannot be read") from error
    if len(data) > _FILE_BYTES_MAX:
        raise ConfigError(path, "", f"larger than {_FILE_BYTES_MAX} bytes")
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(path, f"byte {error.start}", "not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, "", f"not TOML: {error}") from error


def _convert(values: Mapping[str, Any], path: Path, kind: type[Config]) -> Config:
    folder = path.absolute().parent

    def decode(wanted: type, value: object) -> Path:
        assert wanted is Path, "the structs have no other type that msgspec leaves to us"
        if not isinstance(value, str) or not value:
            raise ValueError("Expected the name of a file")
        return folder / value

    try:
        config = msgspec.convert(values, kind, dec_hook=decode)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `")
        raise ConfigError(path, place.rstrip("`"), reason) from error
    config = msgspec.structs.replace(config, state_folder=folder / config.state_folder)
    for place, file in _named_files(config, "$"):
        try:
            with file.open("rb"):
                pass
        except OSError as error:
            raise ConfigError(path, place, f"{file}: {error.strerror}") from error
    return config


def _named_files(table: msgspec.Struct, place: str) -> Iterator[tuple[str, Path]]:
    for name in table.__struct_fields__:
        value = getattr(table, name)
        if isinstance(value, msgspec.Struct):
            yield from _named_files(value, f"{place}.{name}")
        elif name.endswith("_file") and value is not None:
            yield f"{place}.{name}", value


def _url(url: str, *schemes: str, key: str = "url") -> SplitResult:
    """The parts of a URL of these schemes; raises `ValueError` if it is none, carries a password, or can't be a prefix of topics."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError as error:
        raise ValueError(f"`{key}` is not a URL: {error}") from None
    if not known or any(character <= " " or character == "\x7f" for character in url):
        *first, last = [f"`{scheme}://HOST[:PORT]/…`" for scheme in schemes]
        raise ValueError(f"`{key}` must be {', '.join(first)} or {last}")
    if "@" in parts.netloc:
        raise ValueError(f"`{key}` must not contain a user or password")
    if parts.fragment or parts.query:
        raise ValueError(f"`{key}` must not contain `?` or `#`")
    if parts.scheme.startswith("mqtt") and not re.match(PREFIX_PATTERN, parts.path):
        raise ValueError(f"the path of `{key}`, which is what all topics begin with, has 64 letters, digits, `.`, `_`, `-` and `/` at most")
    return parts


def _check_link(scheme: str, tls: LinkTls | None) -> None:
    if (tls is None) is (scheme in ("wss", "mqtts")):
        raise ValueError(f"a `{scheme}://` link needs the table `tls`" if tls is None else f"the table `tls` is for a `{scheme}s://` link")
