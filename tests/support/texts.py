"""What a message's text is without its id and its white space, by rules of the tests' own: the project's parser must not judge itself."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["content"]

_STRING: Final = r'"(?:[^"\\]|\\.)*"'


def content(text: str) -> str:
    """`[ 2 , "19", "Heartbeat", { } ]` as `[2,"Heartbeat",{}]`; strings and numbers as they are spelled."""
    pieces = re.split(f"({_STRING})", text)
    pieces[::2] = ["".join(outside.split()) for outside in pieces[::2]]
    return re.sub(rf"^(\[\d+),{_STRING}", r"\1", "".join(pieces))
