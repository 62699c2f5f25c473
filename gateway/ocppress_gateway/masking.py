"""What may be shown of a message to people who only look after the link: secrets masked, long texts without their middle.

    "SetVariables",{"setVariableData":[{"attributeValue":"***","component":{…},"variable":{"name":"BasicAuthPassword"}}]}

Secret are passwords and keys, as members or as values of configuration keys and variables with such names, tokens that identify a person (idToken,
idTag), private keys in PEM, strings with JSON in them that has such names, and in URLs user information and signatures that open a file to whoever has them.
All by name: what a vendor sends under a name of its own is not found.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from ocppress_codecs.jsontext import JsonError, tokens

__all__ = ["MASK", "carries_secret", "elided", "masked", "masked_token", "masked_url", "printable", "secrets_of"]

MASK: Final = "***"

_SECRET_NAME: Final = re.compile(r"pass(?:word|wd|phrase)|secret|AuthorizationKey|simPin", re.IGNORECASE)
"""Members, configuration keys and variables that hold a secret."""

_IDENTIFYING: Final = frozenset({"idToken", "additionalIdToken", "idTag", "parentIdTag"})
"""Members that name a person, where they hold a string and not an object."""

_PRIVATE_KEY: Final = "PRIVATE KEY"
"""In the first line of each in PEM (RFC 7468)."""

_NAMES_WITHIN: Final = re.compile("|".join((_SECRET_NAME.pattern, *_IDENTIFYING)), re.IGNORECASE)
"""In a string with JSON in it, any of these hides the whole."""

_VALUES: Final = frozenset({"value", "attributeValue"})
"""Members with the value of what their object, or one around it, names."""

_VPN: Final = "vpn"
"""Member of SetNetworkProfile whose `key` is a shared secret, not the name of a setting."""

_HINTS: Final = ("pass", "secret", "authorizationkey", "simpin", _PRIVATE_KEY.lower(), _VPN, "://", ":\\/", ":/\\/", "\\u")
"""One of these is in every text, with small letters, that `carries_secret` is true of and that is ASCII."""

_USER_INFORMATION: Final = re.compile(r"(?<=://)[^/\"]+(?=@)")
"""Up to the last @ before the path: a password may have one that isn't escaped."""

_OPENS: Final = re.compile(r"sig|token|secret|credential|key", re.IGNORECASE)
"""In the name of a URL's parameter whose value opens a file to whoever has it."""

_PARAMETER: Final = re.compile(r"[?&;]")

URL_CHARACTERS_MAX: Final = 200
"""Of a URL that is shown."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
_NEVER: Final = frozenset({'""', "true", "false", "null"})


def masked(body: str, string_characters_max: int | None = None) -> str:
    """The body of a message (`rpc.Message`) with `***` in the place of secrets, and longer strings than that without their middle.

    Raises `JsonError` if it isn't JSON values with commas between.
    """
    parts = tokens(f"[{body}]")
    for place in _secret_places(parts):
        parts[place] = f'"{MASK}"'
    shown = map(masked_token, parts[1:-1])
    return "".join(shown if string_characters_max is None else (elided(token, string_characters_max) for token in shown))


def secrets_of(body: str) -> frozenset[str]:
    """The JSON tokens that `masked` masks."""
    parts = tokens(f"[{body}]")
    return frozenset(parts[place] for place in _secret_places(parts))


def carries_secret(body: str) -> bool:
    """Whether the body of a message has a password, a key, or user information in a URL; tokens of persons don't count.

    JSON within a string is searched by words alone, so that it rather is one too many. What isn't JSON values with commas between counts as one.
    """
    text = body.lower()
    if body.isascii() and not any(hint in text for hint in _HINTS):
        return False
    try:
        parts = tokens(f"[{body}]")
    except JsonError:
        return True
    if any(masked_token(token) != token or _hides(token, _SECRET_NAME) for token in parts):
        return True
    return any(key not in _IDENTIFYING for _, key in _secrets_in(parts))


def masked_token(token: str) -> str:
    """A JSON token that is no secret as such, or any text, without what opens a URL in it."""
    if token[:1] != '"' or "\\" not in token:
        return _masked_text(token)
    text = str(json.loads(token))
    shown = _masked_text(text)
    return token if shown == text else json.dumps(shown)


def _masked_text(text: str) -> str:
    shown = _USER_INFORMATION.sub(MASK, text)
    place, mark, query = shown.partition("?")
    names = [name for name, equals, _ in (one.partition("=") for one in _PARAMETER.split(query)) if equals]
    if not mark or "://" not in place or not any(map(_OPENS.search, names)):
        return shown
    return f"{place}?{MASK}" + ('"' if text[:1] == text[-1:] == '"' else "")


def masked_url(url: str) -> str:
    """A URL as it may be shown: without user information, and without query and fragment, where the signature stands that opens a file to whoever has it.

    What could be read as both is left out: a password may hold any character that should have been escaped.
    """
    scheme, mark, rest = url.partition("://")
    place, *more = re.split(r"[?#]", rest, maxsplit=1)
    if not mark or not _SCHEME.match(scheme) or any("@" in part for part in more):
        return MASK if url else ""
    _, at, place = place.rpartition("@")
    return elided(printable(f"{scheme}://{MASK + at if at else ''}{place}{'?' + MASK if more else ''}"), URL_CHARACTERS_MAX)


def printable(text: str) -> str:
    r"""The text with `\uXXXX` for what would move a terminal's cursor, colour it, or not be seen; within JSON strings it means the same."""
    return text if text.isprintable() else "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def elided(text: str, characters_max: int) -> str:
    """The text, its middle left out if it is too long; the head is longer than the tail."""
    if len(text) <= characters_max:
        return text
    tail = characters_max // 3
    return f"{text[: characters_max - tail - 1]}…{text[len(text) - tail :]}"


@dataclass(slots=True)
class _Container:
    """An object or array."""

    key: str
    """The member that it is the value of, itself or within arrays."""
    around: _Container | None
    names_secret: bool = False


def _hides(token: str, names: re.Pattern[str]) -> bool:
    """Whether a string holds a private key, or JSON with one of these names."""
    if token[0] != '"' or "\\" not in token:
        return _PRIVATE_KEY in token
    text = str(json.loads(token))
    return _PRIVATE_KEY in text or ('"' in text and names.search(text) is not None)


def _secret_places(parts: list[str]) -> list[int]:
    """Where in the tokens of one JSON value secrets stand."""
    hidden = [place for place, token in enumerate(parts) if _hides(token, _NAMES_WITHIN)]
    return [*hidden, *(place for place, _ in _secrets_in(parts))]


def _secrets_in(parts: list[str]) -> list[tuple[int, str]]:
    """The same, with the members that they are the values of."""
    scalars: list[tuple[int, str, _Container]] = []
    current = _Container("", None)
    key = ""
    for place, token in enumerate(parts):
        if token in "{[":
            current = _Container(key, current)
        elif token in "}]":
            key = current.key
            assert current.around is not None, "tokens are balanced"
            current = current.around
        elif token in ",:":
            continue
        elif parts[place + 1 : place + 2] == [":"]:
            key = json.loads(token)
        else:
            scalars.append((place, key, current))
            _note_name(key, token, current)
    return [(place, key) for place, key, container in scalars if parts[place] not in _NEVER and _is_secret(key, container)]


def _note_name(key: str, token: str, container: _Container) -> None:
    """A configuration key names the value beside it, a variable's name those beside and within what stands beside the variable."""
    named: _Container | None = None
    if key == "key":
        named = container
    elif key == "name" and container.key == "variable":
        named = container.around
    if named is not None and token[0] == '"' and _SECRET_NAME.search(json.loads(token)):
        named.names_secret = True


def _is_secret(key: str, container: _Container) -> bool:
    if key in _IDENTIFYING or _SECRET_NAME.search(key) or (key == "key" and container.key == _VPN):
        return True
    around: _Container | None = container
    while key in _VALUES and around is not None:
        if around.names_secret:
            return True
        around = around.around
    return False
