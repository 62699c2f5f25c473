"""Every limit of the gateway's core, with its unit and the reason for the number."""

from __future__ import annotations

from typing import Final

from ocppress_codecs.interface import FRAME_TEXT_BYTES_MAX

__all__ = [
    "ACK_BYTES",
    "ACK_FRAMES",
    "ACK_RIDE_FRAMES",
    "BATCH_TEXT_BYTES",
    "CALLS_OPEN_MAX",
    "DELIVERED_MESSAGES",
    "DELIVERED_TEXT",
    "IDENTITIES_MAX",
    "LANES_MESSAGES_MAX",
    "LINK_MESSAGE_BYTES_MAX",
    "MESSAGE_TEXT_BYTES_MAX",
    "PIECE_BYTES",
    "REPEATS_REMEMBERED_MAX",
    "REPEATS_TEXT_MAX",
    "REPEAT_MEMORY_S",
    "STATIONS_PER_EDGE_MAX",
    "STORED_IN_FLIGHT_MAX",
    "STORED_IN_FLIGHT_TEXT_MAX",
    "STORED_IN_MEMORY_TEXT_MAX",
    "TEXT_PER_FRAME_BYTE",
    "UNACKED_BYTES_MAX",
    "WAITING_TEXT_MAX",
]

MESSAGE_TEXT_BYTES_MAX: Final = 1024 * 1024
"""One OCPP-J message from a station or CSMS. The longest legal ones (a base report, a signed meter value of 32,768 characters in each
of some samples) stay well below; more is closed with 1009."""

BATCH_TEXT_BYTES: Final = 32 * 1024
"""Text after which no further message joins a frame: its head, length and checksum cost 6 bytes, and its coder's end one or two. It makes a
frame of some hundred bytes; what doesn't compress is cut in pieces. To code it takes a small board some tenths of a second, which the others
behind it wait."""

PIECE_BYTES: Final = 4 * 1024
"""A larger frame is cut into pieces of this size, between which other stations have their turn."""

LINK_MESSAGE_BYTES_MAX: Final = 16 * 1024
"""One link message, which is one WebSocket message and one TLS record (RFC 8446 5.1 allows 2^14 bytes of content)."""

ACK_RIDE_FRAMES: Final = 8
"""Frames received after which an acknowledgement rides on whatever is sent next. It costs 3 bytes, so not each time."""

ACK_FRAMES: Final = 64
"""Frames received after which an acknowledgement is sent by itself."""

ACK_BYTES: Final = 32 * 1024
"""Frame bytes received after which an acknowledgement is sent by itself; half of what the sender may keep."""

STORED_IN_MEMORY_TEXT_MAX: Final = 128 * 1024
"""Characters of one station's stored messages that wait in memory for the link; the rest of a backlog stays on disk until its turn,
and goes in a link message of its own. A quarter of an hour of two busy AC connectors is 75,000."""

STORED_IN_FLIGHT_MAX: Final = 500
"""Stored messages of one lane that have been sent and that the CSMS hasn't answered: twice what the cloud acknowledges at once, so that a backlog
doesn't stop for the acknowledgement."""

STORED_IN_FLIGHT_TEXT_MAX: Final = 512 * 1024
"""Characters of the same: what the cloud has to hold for a slow CSMS. A single larger message may go alone."""

DELIVERED_MESSAGES: Final = 250
"""Answered messages after which the cloud tells the edge by itself; else the news rides on whatever is sent next. A session of
half an hour with a reading each ten seconds has 185, and at its end something is relayed; a link message for the news alone costs 110 bytes."""

DELIVERED_TEXT: Final = STORED_IN_FLIGHT_TEXT_MAX // 2
"""Characters of answered messages after which it does so, too."""

UNACKED_BYTES_MAX: Final = 64 * 1024
"""Frame bytes a sender keeps per station for a resumed link; then it waits for an acknowledgement. One larger frame may go alone."""

TEXT_PER_FRAME_BYTE: Final = 32
"""Characters of text that count as one frame byte there and in `ACK_BYTES`, for the text is kept as well: a megabyte of spaces in a string
makes a frame of 100 bytes. Ordinary traffic is compressed less than this."""

CALLS_OPEN_MAX: Final = 32
"""Unanswered CALLs of one station; then its socket isn't read. OCPP allows one, stations in the field pipeline a few."""

STATIONS_PER_EDGE_MAX: Final = 64
"""Stations behind one edge, a large car park; slots on the link are one byte."""

LANES_MESSAGES_MAX: Final = 256
"""Messages of one station that wait for the link. A station isn't read from `CALLS_OPEN_MAX` open CALLs or half of this on; what a CSMS
sends beyond it
is dropped, as its CALLs would be over time anyway."""

WAITING_TEXT_MAX: Final = 4 * MESSAGE_TEXT_BYTES_MAX
"""Characters of one station's messages that wait in one place, for the link or for their turn at a socket; treated like their number."""

IDENTITIES_MAX: Final = 256
"""Identities whose contexts either end remembers per edge, so that inventing identities costs nothing but the oldest."""

REPEAT_MEMORY_S: Final = 24 * 3600.0
"""How long a transaction message and its answer are remembered for a station that repeats it."""

REPEATS_REMEMBERED_MAX: Final = 512
"""Transaction messages remembered per station, the oldest forgotten first: a day of an AC charger at one a minute has 1,440, but a
station repeats what is minutes old."""

REPEATS_TEXT_MAX: Final = 1024 * 1024
"""Characters of remembered answers per station: 2,000 for each, where the usual one has 100."""

assert DELIVERED_MESSAGES <= STORED_IN_FLIGHT_MAX // 2, "the edge would wait for an acknowledgement that nobody owes"
assert PIECE_BYTES < LINK_MESSAGE_BYTES_MAX, "a piece and its header must fit in a link message"
assert ACK_BYTES < UNACKED_BYTES_MAX, "the sender would wait for an acknowledgement that nobody owes"
assert 2 * MESSAGE_TEXT_BYTES_MAX <= WAITING_TEXT_MAX, "half of it, where reading pauses, must hold a message"
assert MESSAGE_TEXT_BYTES_MAX < FRAME_TEXT_BYTES_MAX, "a frame must hold the largest message"
