"""What a station's identity and an edge's name may be."""

from __future__ import annotations

from typing import Final

__all__ = ["CLOUD_NAME", "EDGE_NAME_PATTERN", "IDENTITY_PATTERN"]

IDENTITY_PATTERN: Final = r"^[A-Za-z0-9*+=:|@._-]{1,48}\Z"
"""OCPP 2.1 Part 4, 3.1.1: identifierString of at most 48 characters."""

EDGE_NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z"
"""An edge's name: the common name of its certificate, which crosses the link in each full handshake, a folder of `ocppress ca`, and part of a topic."""

CLOUD_NAME: Final = "cloud"
"""The cloud's name at a broker: in its certificate there, which the access list goes by. No edge may have it."""
