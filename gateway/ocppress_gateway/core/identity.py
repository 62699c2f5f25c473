"""What a station's identity may be."""

from __future__ import annotations

from typing import Final

__all__ = ["IDENTITY_PATTERN"]

IDENTITY_PATTERN: Final = r"^[A-Za-z0-9*+=:|@._-]{1,48}\Z"
"""OCPP 2.1 Part 4, 3.1.1: identifierString of at most 48 characters."""
