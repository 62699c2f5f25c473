"""What was found on the way to a cloud, a broker or a CSMS means, and what helps: functions of facts alone."""

from __future__ import annotations

from typing import Any, Final

from ocppress_gateway.core.broker_topics import Topics
from ocppress_gateway.doctor.facts import BrokerAnswer, CertificateFacts, CsmsAnswer, Peer, StoreAnswer
from ocppress_gateway.doctor.findings import Finding, failed, passed, warned
from ocppress_gateway.linkcheck.steps import LOOK_UP_REMEDY, TCP_REMEDIES
from ocppress_gateway.reaching import LookUp, Tcp, TcpFailure, Tls, TlsFailure
from ocppress_gateway.status.words import moment

__all__ = ["broker", "looked_up", "reached", "secured", "store", "upgraded"]

_TCP: Final = {
    **{(failure, Peer.CLOUD): remedy for failure, remedy in TCP_REMEDIES.items()},
    (TcpFailure.REFUSED, Peer.BROKER): "is the broker running, and does it listen at this port?",
    (TcpFailure.REFUSED, Peer.CSMS): "is the CSMS running, and is this its port?",
    (
        TcpFailure.NO_ANSWER,
        Peer.BROKER,
    ): "a firewall drops it: open the port at the broker, or ask the SIM's carrier which ports it lets through",
    (TcpFailure.NO_WAY, Peer.BROKER): TCP_REMEDIES[TcpFailure.NO_WAY],
    (TcpFailure.NO_ANSWER, Peer.CSMS): "a firewall drops it: let this machine out to the CSMS's address and port",
    (TcpFailure.NO_WAY, Peer.CSMS): "has this machine a route there (`ip route`)?",
}

_OF_ONE_FOLDER: Final = "copy `ca.pem`, certificate and key of one `ocppress ca` folder to each end: these are of different authorities"
_CLOCK: Final = "set this machine's clock (`timedatectl`), and let it be set before the program starts"

_TLS: Final[dict[tuple[TlsFailure, Peer | None], str]] = {
    (TlsFailure.NOT_YET_VALID, None): _CLOCK,
    (TlsFailure.EXPIRED, None): f"if that day is over, `ocppress ca renew --cloud` makes the next; if it isn't, {_CLOCK}",
    (TlsFailure.EXPIRED, Peer.CSMS): f"if that day is over, whoever runs the CSMS has to renew it; if it isn't, {_CLOCK}",
    (TlsFailure.OTHER_AUTHORITY, None): _OF_ONE_FOLDER,
    (
        TlsFailure.OTHER_AUTHORITY,
        Peer.CSMS,
    ): "set `[csms] ca_file` to the certificate of the authority that signed the CSMS's, intermediates in it; without it the system's authorities count",
    (TlsFailure.OTHER_NAME, None): "use one of its names in {setting}, or make it anew with this one: `ocppress ca init --host NAME`",
    (TlsFailure.OTHER_NAME, Peer.CSMS): "use one of its names in {setting}",
    (TlsFailure.NOT_ACCEPTED, None): "make it anew with `ocppress ca`: it isn't one of a server of a link",
    (TlsFailure.NOT_ACCEPTED, Peer.CSMS): "whoever runs the CSMS has to mend its certificate",
    (
        TlsFailure.REFUSES_US,
        None,
    ): "it refuses this end's certificate: is it of the same authority, not over, and is the clock there right? Its log says more",
    (
        TlsFailure.REFUSES_US,
        Peer.CSMS,
    ): "it wants a client certificate, or another one (security profile 3): `certificate_file` and `key_file` of `[csms]`",
    (
        TlsFailure.PROTOCOL,
        None,
    ): "the two ends have no version of TLS in common: a link needs TLS 1.3, what stands between must not end TLS",
    (TlsFailure.PROTOCOL, Peer.CSMS): "the CSMS has to offer TLS 1.2 or 1.3",
    (TlsFailure.NO_TLS, None): "something else listens at this port, or without TLS: check port and scheme in {setting}",
    (
        TlsFailure.CUT,
        None,
    ): "what listens there has no TLS, or not 1.3: check port and scheme in {setting}; or a proxy, firewall or load balancer on the way hangs up",
    (
        TlsFailure.NO_ANSWER,
        None,
    ): "something accepts the connection and says nothing: a port of another program, or a firewall that inspects TLS",
}

_STORE: Final = (
    ("authentication", "set `user` and `password_file` of `[fleet]` to what the server's access list has"),
    ("password", "set `user` and `password_file` of `[fleet]` to what the server's access list has"),
    ("noperm", "its access list must let this user do what a cloud does: keys and channels that begin with `ocppress:`, and INFO"),
    ("certificate", "set `[fleet] ca_file` to the authority of the server's certificate"),
    ("db index", "the number in `[fleet] store` is more than the server has databases"),
    ("loading", "try again: it is reading its data from the disk"),
)

_CONNACKS: Final = (
    ("unspecified error", "the broker's log says why"),
    (
        "not authorized",
        "its access list doesn't know this name: the certificate's common name has to be in it (`ocppress ca` makes the `acl`)",
    ),
    (
        "bad user name or password",
        "the broker doesn't go by certificates: mosquitto needs `require_certificate` and `use_identity_as_username`",
    ),
    ("client identifier not valid", "let the broker take the certificate's name as identifier (mosquitto: `use_username_as_clientid`)"),
    ("unsupported protocol version", "it isn't a broker of MQTT 5, or has that turned off"),
    ("banned", "the broker has banned this name: see its list"),
    ("server busy", "try again; the broker has too much to do"),
    ("server unavailable", "try again; the broker isn't ready"),
    ("quota exceeded", "the broker's limit of connections or messages is used up"),
    ("connection rate exceeded", "try again in some minutes"),
    ("server moved", "set the broker's new address"),
    ("use another server", "set the broker's new address"),
    ("certificate", "the broker doesn't accept this end's certificate: is it of the authority in the broker's `cafile`, and not over?"),
    ("packets of", "let the broker take larger packets (mosquitto: `max_packet_size`)"),
)


def looked_up(found: LookUp, *, setting: str) -> Finding:
    """The name's addresses; `setting` is where the name stands."""
    fields = {"host": found.host, "addresses": list(found.addresses), "took_s": round(found.took_s, 3)}
    if found.failure:
        return failed("look-up", f"{found.host}: {found.failure}", LOOK_UP_REMEDY.replace("`[link] url`", setting), **fields)
    if found.is_address:
        return passed("look-up", f"{found.host} is an address: nothing to look up", **fields)
    return passed("look-up", f"{found.host} is {', '.join(found.addresses)}, in {found.took_s:.3f} s", **fields)


def reached(found: Tcp, peer: Peer) -> Finding:
    """Whether somebody listens."""
    place = f"{found.address} port {found.port}"
    fields = {"address": found.address, "port": found.port, "took_s": round(found.took_s, 3)}
    if found.failure is None:
        return passed("TCP", f"{place} in {found.took_s:.3f} s", **fields)
    words = {
        TcpFailure.REFUSED: f"{place} refused the connection",
        TcpFailure.NO_ANSWER: f"{place} did not answer within {found.took_s:.0f} s",
        TcpFailure.NO_WAY: f"{place}: {found.detail}",
    }
    return failed("TCP", words[found.failure], _TCP[found.failure, peer], **fields)


def secured(found: Tls, peer: Peer, shown: CertificateFacts | None, *, unix_s: float, setting: str) -> Finding:
    """The handshake; `shown` is what the server's certificate says, where it has shown one."""
    fields: dict[str, Any] = {"took_s": round(found.took_s, 3), "failure": found.failure}
    if shown is not None:
        fields |= {"hosts": list(shown.hosts), "ends_unix_s": shown.ends_unix_s}
    if found.failure is None:
        until = "" if shown is None else f", its certificate is good until {moment(shown.ends_unix_s)}"
        if shown is not None and unix_s >= shown.renew_from_unix_s and peer is not Peer.CSMS:
            remedy = "`ocppress ca renew --cloud` makes the next: copy it there, and restart it"
            return warned("TLS", f"{found.version} with {found.host}{until}: in the last third of its life", remedy, **fields)
        return passed("TLS", f"{found.version} with {found.host} in {found.took_s:.3f} s{until}", **fields)
    remedy = _TLS.get((found.failure, peer)) or _TLS[found.failure, None]
    return failed("TLS", _tls_words(found, peer, shown, unix_s), remedy.format(setting=setting), **fields)


def _tls_words(found: Tls, peer: Peer, shown: CertificateFacts | None, unix_s: float) -> str:
    what = f"the {peer}'s certificate"
    match found.failure:
        case TlsFailure.NOT_YET_VALID:
            begins = "" if shown is None else f", from {moment(shown.starts_unix_s)} on"
            return f"the clock: {what} isn't valid yet{begins}, and it is {moment(unix_s)} here"
        case TlsFailure.EXPIRED:
            ended = "" if shown is None else f" on {moment(shown.ends_unix_s)}"
            return f"{what} has ended{ended}; it is {moment(unix_s)} here"
        case TlsFailure.OTHER_AUTHORITY:
            return f"{what} is of an authority that isn't trusted here: {found.detail}"
        case TlsFailure.OTHER_NAME:
            names = "" if shown is None else f"; it is for {', '.join(shown.hosts) or shown.name or 'nobody by name'}"
            return f"{what} isn't for {found.host}{names}"
        case TlsFailure.NOT_ACCEPTED:
            return f"{what} can't be accepted: {found.detail}"
        case TlsFailure.REFUSES_US:
            return f"the {peer} says no: {found.detail}"
        case TlsFailure.PROTOCOL:
            return f"no common version or cipher of TLS: {found.detail}"
        case TlsFailure.NO_TLS:
            return f"what answers speaks no TLS: {found.detail}"
        case TlsFailure.CUT:
            return "the connection was cut in the handshake" + (f": {found.detail}" if found.detail else "")
    return f"no answer to the handshake within {found.took_s:.0f} s"


def broker(answer: BrokerAnswer, *, is_edge: bool) -> Finding:
    """What the broker said to this end's CONNECT, SUBSCRIBE and PUBLISH."""
    fields: dict[str, Any] = {
        "name": answer.name,
        "took_s": round(answer.took_s, 3),
        "keep_alive_s": answer.keep_alive_s,
        "topic_aliases": answer.aliases,
    }
    if answer.refused:
        reason = answer.refused.lower()
        remedy = next((helps for words, helps in _CONNACKS if words in reason), "the broker's log says why")
        return failed("broker", answer.refused, remedy, **fields)
    topics = Topics(answer.prefix)
    rules = f"publish to `{topics.prefix}u/+/{answer.name}`, subscribe to `{topics.prefix}d/+/{answer.name}` and `{topics.cloud}`"
    if not is_edge:
        rules = f"subscribe to `{topics.all_up}`, publish to `{topics.prefix}d/+/+` and `{topics.cloud}`"
    if answer.not_subscribed or answer.not_published:
        what = [f"subscribe to {topic}" for topic in answer.not_subscribed] + [
            f"publish to {topic}" for topic in (answer.not_published,) if topic
        ]
        return failed(
            "broker", f"it lets {answer.name} not {' and not '.join(what)}", f"its access list must let {answer.name} {rules}", **fields
        )
    if is_edge and answer.cloud_is != "here":
        gone = "the cloud has gone from it" if answer.cloud_is == "gone" else "no cloud has ever been there"
        return failed(
            "broker", f"it takes {answer.name}, but {gone}", "start the cloud, with the same broker and the same prefix", **fields
        )
    keep = "" if answer.keep_alive_s is None else f", and wants a sign every {answer.keep_alive_s} s"
    if is_edge and answer.aliases < 1:
        remedy = "let it have Topic Alias Maximum 1 or more: the topic crosses the SIM with each message"
        return warned("broker", f"it takes {answer.name}, but has no topic aliases{keep}", remedy, **fields)
    return passed("broker", f"it takes {answer.name} and its topics{', and the cloud is there' if is_edge else ''}{keep}", **fields)


def store(answer: StoreAnswer) -> Finding:
    """What the server that a fleet shares has said."""
    step, fields = "fleet's store", {"url": answer.url, "version": answer.version, "took_s": round(answer.took_s, 3)}
    if answer.refused:
        reason = answer.refused.lower()
        remedy = next(
            (helps for words, helps in _STORE if words in reason), "does it run there, and is the way to it open (`[fleet] store`)?"
        )
        return failed(step, f"{answer.url}: {answer.refused}", remedy, **fields)
    if answer.remark is not None:
        remedy = "set `appendonly yes`, `appendfsync always` and `maxmemory-policy noeviction` there: what it has been told must last"
        return warned(step, f"{answer.url}, version {answer.version}: {answer.remark}", remedy, **fields)
    return passed(step, f"{answer.url}, version {answer.version}, in {answer.took_s:.3f} s", **fields)


def upgraded(answer: CsmsAnswer) -> Finding:
    """What the CSMS said to a station's upgrade without a password."""
    fields = {"url": answer.url, "status": answer.status, "subprotocol": answer.subprotocol, "took_s": round(answer.took_s, 3)}
    match answer.status:
        case 101 if answer.subprotocol:
            return passed("upgrade", f"{answer.url}: accepted, {answer.subprotocol}", **fields)
        case 101:
            remedy = "is it a CSMS? One that speaks OCPP chooses one of ocpp1.6, ocpp2.0.1 and ocpp2.1"
            return warned("upgrade", f"{answer.url}: accepted, without a sub-protocol", remedy, **fields)
        case 401:
            return passed("upgrade", f"{answer.url}: 401, it wants the station's password, as it should", **fields)
        case 403 | 404:
            remedy = "either the CSMS doesn't know this identity, which only it can say, or the path in `[csms] url` is wrong"
            return warned("upgrade", f"{answer.url}: {answer.status}", remedy, **fields)
        case None:
            return failed(
                "upgrade",
                f"{answer.url}: {answer.why}",
                "is it the CSMS's port for OCPP, and the right scheme, `ws://` or `wss://`?",
                **fields,
            )
        case status if 300 <= status < 400:
            return failed(
                "upgrade", f"{answer.url}: {status}, a redirection, which isn't followed", "enter where it leads in `[csms] url`", **fields
            )
        case status if status >= 500:
            return failed("upgrade", f"{answer.url}: {status}", "the CSMS, or a proxy before it, is in trouble: its log says why", **fields)
    return failed(
        "upgrade", f"{answer.url}: {answer.status}", "something else than a CSMS answers there: check the path in `[csms] url`", **fields
    )
