"""`ocppress dead`: letters in a list, and one by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ocppress_codecs.jsontext import JsonError
from ocppress_codecs.rpc import MessageType, action_of
from ocppress_gateway.core.stored import DeadLetter
from ocppress_gateway.masking import MASK, elided, masked, printable, secrets_of
from ocppress_gateway.status.words import moment, table

__all__ = ["letter_data", "letter_lines", "letters_lines"]


def letters_lines(letters: Sequence[DeadLetter], in_store: int) -> list[str]:
    """Nothing of what is in them, and nothing that a CSMS wrote but its error's code."""
    if not letters:
        return ["no dead letters"]
    lines = table(
        ("key", "station", "OCPP", "action", "error", "attempts", "given up at"),
        (
            (str(one.key), one.identity, one.version, _action(one), one.error_code or "no answer", one.attempts, moment(one.at_s))
            for one in letters
        ),
    )
    if len(letters) < in_store:
        lines.append(f"{len(letters):,} of {in_store:,}; more with --limit")
    return lines


def letter_lines(letter: DeadLetter, *, full: bool) -> list[str]:
    """One letter with its text."""
    return [
        f"dead letter {letter.key} of {letter.identity}, OCPP {letter.version}",
        f"{_action(letter)}, message id {printable(letter.message_id)}",
        f"given up {moment(letter.at_s)} after attempt {letter.attempts}: {printable(letter.error_code) or 'no answer'}",
        *([f"the CSMS says: {elided(printable(_description(letter, full=full)), 400)}"] if letter.error_description else []),
        "",
        printable(_shown(letter, full=full)),
    ]


def letter_data(letter: DeadLetter, *, body: bool = False, full: bool = False) -> dict[str, Any]:
    """For `--json`. Only with `body` what is in it, and what the CSMS wrote of it."""
    data: dict[str, Any] = {
        "key": letter.key,
        "station": letter.identity,
        "message_id": letter.message_id,
        "ocpp": letter.version,
        "action": _action(letter),
        "error_code": letter.error_code,
        "attempts": letter.attempts,
        "at_s": letter.at_s,
    }
    if body:
        data |= {"error_description": _description(letter, full=full), "body": _shown(letter, full=full), "masked": not full}
    return data


def _action(letter: DeadLetter) -> str:
    return action_of(MessageType.CALL, letter.body)


def _shown(letter: DeadLetter, *, full: bool) -> str:
    if full:
        return letter.body
    try:
        return masked(letter.body)
    except JsonError:
        return MASK


def _description(letter: DeadLetter, *, full: bool) -> str:
    """What the CSMS wrote, which may repeat a secret of the letter."""
    text = letter.error_description
    if full or not text:
        return text
    try:
        secrets = {str(json.loads(token)) for token in secrets_of(letter.body)}
    except JsonError:
        return MASK
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
