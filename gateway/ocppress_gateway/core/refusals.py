"""What to answer to a text that is no OCPP-J message (rule R11): the same at the edge and at the cloud.

| edition | id unreadable | id readable | well-formed, type unknown | an answer or SEND |
|---|---|---|---|---|
| 1.6 | FormationViolation, id "-1" | FormationViolation | nothing | nothing |
| 2.0.1, 2.1 | RpcFrameworkError, id "-1" | FormatViolation | nothing (errata 2026-02) | nothing |

OCPP 1.6 has no rule for an unreadable id; the id of the later editions is used.
"""

from __future__ import annotations

import json

from ocppress_codecs.errors import NotOcppJ
from ocppress_codecs.rpc import Message, MessageType, OcppVersion, render

__all__ = ["refusal"]


def refusal(version: OcppVersion, error: NotOcppJ) -> str | None:
    """The CALLERROR's text, None if nothing is to be answered."""
    if error.well_formed_unknown or not error.answerable:
        return None
    if version is OcppVersion.V16:
        code = "FormationViolation"
    elif error.message_id is None:
        code = "RpcFrameworkError"
    else:
        code = "FormatViolation"
    message_id = "-1" if error.message_id is None else error.message_id
    return render(message_id, Message(MessageType.CALLERROR, "", f'"{code}",{json.dumps(error.reason[:255])},{{}}'))
