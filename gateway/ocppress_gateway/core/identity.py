"""What a station's identity may be."""

from __future__ import annotations

from typing import Final

__all__ = ["IDENTITY_PATTERN"]

IDENTITY_PATTERN: Final = r"^(?!\.{1,2}\Z)[A-Za-z0-9*+=:|@._-]{1,48}\Z"
"""OCPP 2.1 Part 4, 3.1.1: identifierString of at most 48 characters; but not `.` or `..`, which lead out of their place in a URL
(RFC 3986 5.2.4) however they are escaped."""
