"""The lines that `inspect` prints of each frame.

up: codec adaptive, OCPP 2.0.1, fingerprint 1f0c7a55, that of this release
frame 1  up    2026-01-05T00:00:02.011Z  31 bytes, 1 message
  CALL 1 StatusNotification: 119 bytes of text in 231.4 bits
    "StatusNotification",{"timestamp":"2026-01-05T00:00:02.000Z","connectorStatus":"Available","evseId":1,"connectorId":1}
       199.2 bits  a new shape
        30.1 bits  timestamp = "2026-01-05T00:00:02.000Z": by the clock, off by 1999
  of the frame
        16.0 bits  checksum
"""

from __future__ import annotations

from collections.abc import Iterator

from ocppress_codecs.rpc import MessageType
from ocppress_gateway.masking import printable
from ocppress_gateway.tools.inspection import LOST, FrameReport, MessageReport, Piece

__all__ = ["frame_lines"]


def frame_lines(frame: FrameReport) -> Iterator[str]:
    """The lines of one frame."""
    opening = frame.opening
    if opening is not None:
        whose = "that of this release" if opening.usable else "NOT that of this release"
        yield f"{frame.direction}: codec {opening.codec}, OCPP {opening.ocpp}, fingerprint {opening.fingerprint}, {whose}"
    head = f"frame {frame.number}  {frame.direction:4}  {frame.at or 'no time':24}  {_many(frame.frame_bytes, 'byte')}"
    if frame.trouble is not None and frame.trouble.code == LOST:
        yield f"{head}: {frame.trouble.reason}"
        return
    if frame.trouble is not None:
        yield f"{head}: CAN'T BE DECODED ({frame.trouble.code}): {printable(frame.trouble.reason)}"
        yield f"  begins with {frame.trouble.head or 'nothing'}"
        return
    yield f"{head}, {_many(len(frame.messages), 'message')}"
    for message in frame.messages:
        yield from _message_lines(message)
    if frame.pieces:
        yield "  of the frame"
        yield from map(_piece_line, frame.pieces)


def _message_lines(message: MessageReport) -> Iterator[str]:
    yield f"  {printable(_heading(message))}: {_many(message.text_bytes, 'byte')} of text in {message.bits:,.1f} bits"
    yield f"    {printable(message.text)}"
    yield from map(_piece_line, message.pieces)


def _heading(message: MessageReport) -> str:
    match message.type:
        case MessageType.CALL.name:
            return f"CALL {message.call} {message.action}"
        case MessageType.SEND.name:
            return f"SEND {message.action}"
        case _:
            return (
                f"{message.type} to CALL {message.call} {message.action}"
                if message.call is not None
                else f"{message.type} {message.action}"
            )


def _piece_line(piece: Piece) -> str:
    value = f"{piece.name} = {piece.value}: " if piece.value else ""
    error = f", off by {piece.off_by}" if piece.off_by is not None else ""
    return printable(f"    {piece.bits:10,.1f} bits  {value}{piece.how}{error}")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
