"""What a technician enters in the stations behind an edge, as a short text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["stations_text"]

_NO_HOST = "ADDRESS-OF-THE-EDGE"


def stations_text(edge: str, stations: Sequence[str], hosts: Sequence[str], port: int, ca_file: str | None) -> str:
    """`hosts`: under which stations reach the edge, none for not known yet; `ca_file`: what they have to trust, None where there is no TLS."""
    scheme = "ws" if ca_file is None else "wss"
    bases = [f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/" for host in hosts or [_NO_HOST]]
    identities = ["IDENTITY"] if "*" in stations else list(stations)
    return "\n".join(
        [
            f"What to set in the stations of edge {edge}",
            "",
            *_urls(bases, identities),
            *_security(ca_file),
            "Password             as the CSMS has it for this identity; it stays the CSMS that checks it",
            "Sub-protocols        as before: ocpp1.6, ocpp2.0.1 or ocpp2.1, whatever the CSMS takes",
            "Heartbeat interval   as the CSMS sets it: the edge answers Heartbeats itself (not with plan transparent), so they cost the link nothing",
            "WebSocket ping       may be 0, the edge pings a silent station by itself; either way pings never cross the link",
            "",
        ]
    )


def _urls(bases: Sequence[str], identities: Sequence[str]) -> list[str]:
    lines = []
    for base in bases:
        lines += [f"URL                  {base}{identity}" for identity in identities]
        lines += [f"or in two parts      {base} and the identity by itself: {', '.join(identities)}"]
    return [
        *lines,
        "                     Any path may stand before the identity. In 2.x the first part is ocppCsmsUrl of the NetworkConnectionProfile, and",
        "                     the second SecurityCtrlr.Identity.",
    ]


def _security(ca_file: str | None) -> list[str]:
    if ca_file is None:
        return [
            "Security profile     1 (0 without a password): no TLS between station and edge, so the password can be read on that network. With",
            "                     `ocppress ca issue --station-host` the edge has a certificate for profile 2.",
        ]
    return [
        "Security profile     2: TLS with the edge's certificate, and a password. Profile 3 isn't possible through a proxy that reads messages.",
        f"Root certificate     {ca_file}: to be installed as CSMSRootCertificate, in 1.6 CentralSystemRootCertificate",
    ]
