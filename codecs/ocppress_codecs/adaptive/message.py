"""One message: what it answers, its shape, its values."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from ocppress_codecs.account import Part
from ocppress_codecs.adaptive.coder import Coder
from ocppress_codecs.adaptive.contexts import mixed
from ocppress_codecs.adaptive.first_sight import code_skeleton, shape_of
from ocppress_codecs.adaptive.forecasts import Readings
from ocppress_codecs.adaptive.literals import ZSTD_BYTES_MIN, code_text
from ocppress_codecs.adaptive.model import SHAPE_BYTES_MAX, VALUES_MAX, Model, Shape, run_context
from ocppress_codecs.adaptive.numerals import code_choice, code_gamma
from ocppress_codecs.adaptive.skeletons import filled, fitted, split
from ocppress_codecs.adaptive.slots import Slots
from ocppress_codecs.adaptive.successors import candidates
from ocppress_codecs.adaptive.values import code_value
from ocppress_codecs.calls import CallLog
from ocppress_codecs.carriage import REFERENCE_EXPECTED, Progress, reference, resolved, validated
from ocppress_codecs.errors import LimitExceeded, Malformed
from ocppress_codecs.rpc import Message, MessageType
from ocppress_codecs.scalars import Scalar, Text, token_of

__all__ = ["NOTES_REACH", "TEXT_CONTEXT", "code_message"]

NOTES_REACH: Final = 64
"""How far back, from the newest CALL that the answering end has decoded, it says what kind of CALL it answers."""

PLAIN_BYTES_MAX: Final = 8 * 1024
"""Body or skeleton above which an unknown shape goes as text: it is too large to be remembered as a shape, and zstd is quicker."""

NOVEL_BYTES_MAX: Final = 2048
"""Text in one message that is new to this direction, above which a writer lets zstd carry all of it."""

TEXT_CONTEXT: Final = 1
"""The shape's context of a message that went as text."""

_TYPES: Final = {member.value: member for member in MessageType}
_CALLRESULT: Final = MessageType.CALLRESULT
_CALLERROR: Final = MessageType.CALLERROR
_CALLRESULTERROR: Final = MessageType.CALLRESULTERROR


def code_message(
    coder: Coder, model: Model, given: Message | None, as_text: bool, progress: Progress, answered: CallLog, limit: int
) -> tuple[Message, Progress, i64]:
    """One message, the progress after it, and what it is: the context of its shape. Raises `DecodeError`.

    `given` is None for a reader; `as_text` asks a writer not to look into the body, and to be quick. `answered` are the CALLs of the other direction,
    `limit` is what is left of the frame's text, in bytes.
    """
    coder.check_work()
    number = 0
    is_answer: i64 = 0
    if given is not None:
        number = reference(given, progress)[0]
        is_answer = _is_answer(given.type)
    is_answer = coder.pair(mixed(model.subject, 90), mixed(91, model.kinds), is_answer)
    near = mixed(model.subject, 95)
    far = mixed(near, model.before)
    call: int | None = None
    if is_answer:
        number = code_gamma(coder, mixed(92, 0), number)
        call = resolved(_CALLRESULT, number, progress)[0]
        note: i64 = 0
        if call is not None and coder.bit(93, 1 if answered.count - NOTES_REACH <= call < answered.count else 0):
            note = answered.note(call)
        near = mixed(mixed(note, 94), 0)
        far = mixed(near, model.subject)
    skeleton = ""
    values: list[Scalar] = []
    wanted = -1
    if given is not None and not as_text:
        wanted, skeleton, values = _looked_into(model, given, near, far)
    shape = _code_shape(coder, model, wanted, skeleton, near, far, is_answer, limit)
    if shape is None:
        kind = code_choice(coder, mixed(97, 0), 3, given.type if given is not None else 0)
        body = code_text(coder, model, given.body if given is not None else "", as_text, limit)
        context = TEXT_CONTEXT
        if coder.account is not None:
            coder.account.close(Part.STRINGS, "the whole message as text")
    else:
        kind = shape.message_type
        body = _code_values(coder, model, shape, values, limit)
        context = shape.context
    if kind not in _TYPES:
        raise Malformed(f"message type {kind}")
    message_type = _TYPES[kind]
    if _is_answer(message_type) != is_answer:
        raise Malformed("an answer that is none, or the reverse")
    if message_type is _CALLRESULTERROR:
        number = code_gamma(coder, mixed(98, 0), number)
    elif not is_answer:
        number = REFERENCE_EXPECTED
    call, progress = resolved(message_type, number, progress)
    action = shape.action if shape is not None else ""
    if shape is None or message_type is _CALLERROR or message_type is _CALLRESULTERROR:
        action = validated(message_type, body)
    if context == model.subject:
        model.run += 1 if model.run & 0xFFFF < 0xFFFF else 0
    else:
        model.run = (model.run & 0xFFFFFFFF) << 16 | 1
    model.before = model.subject
    model.subject = context
    model.kinds = (model.kinds << 1 | is_answer) & 7
    return Message(message_type, action, body, call), progress, context


def _looked_into(model: Model, given: Message, near: i64, far: i64) -> tuple[int, str, list[Scalar]]:
    """The number of a message's shape, -1 if it is new; then its skeleton, "" if it should go as text; and its values."""
    shapes = model.shapes
    kind = int(given.type)
    skeleton = ""
    found: list[Scalar] | None = None
    wanted = -1
    for context in (far, near):
        for number in candidates(model.shape_following.find(context)):
            shape = shapes.items[number] if number < len(shapes.items) else None
            if shape is not None and shape.message_type == kind:
                found = fitted(shape.segments, shape.keys, given.body)
                if found is not None:
                    wanted = number
                    break
        if found is not None:
            break
    if found is None:
        skeleton, found = split(kind, given.body, VALUES_MAX)
        wanted = shapes.find(skeleton) if skeleton else -1
    if _novel_bytes(model, found) > NOVEL_BYTES_MAX:
        return -1, "", found
    return wanted, skeleton, found


def _novel_bytes(model: Model, values: list[Scalar]) -> int:
    """About how much text the character model would have to carry; single texts that go by zstd aside."""
    total = 0
    for value in values:
        if isinstance(value, Text) and len(value.token) < ZSTD_BYTES_MIN and model.strings.find(value.token) < 0:
            total += len(value.token)
    return total


def _is_answer(message_type: MessageType) -> i64:
    return 1 if message_type is _CALLRESULT or message_type is _CALLERROR else 0


def _code_shape(coder: Coder, model: Model, wanted: int, skeleton: str, near: i64, far: i64, is_answer: i64, limit: int) -> Shape | None:
    """The shape, None where the message goes as text. A writer gives its number, -1 and the skeleton if it is new, "" for text."""
    shapes = model.shapes
    packed_far = model.shape_following.find(far)
    packed_near = model.shape_following.find(near)
    row = run_context(model.run)
    number = _follower(coder, shapes, candidates(packed_far), [], far, row, 0, wanted)
    if number < 0:
        number = _follower(coder, shapes, candidates(packed_near), candidates(packed_far), near, row, 1, wanted)
    if number < 0:
        ranked = shapes.ranked()
        if ranked and coder.bit(mixed(112, is_answer), 1 if wanted >= 0 else 0):
            rank = code_gamma(coder, mixed(113, 0), ranked.index(wanted) if wanted >= 0 else 0)
            if rank >= len(ranked):
                raise Malformed("a shape that isn't there")
            number = ranked[rank]
    if number >= 0:
        shapes.touch(number)
        shape = shapes.items[number]
        assert shape is not None, "a shape that is forgotten has no number"
        if coder.account is not None:
            coder.account.close(Part.CHOICES, "a known shape")
    else:
        plain = 1 if 0 < len(skeleton) <= PLAIN_BYTES_MAX else 0
        plain = coder.bit(114, plain)
        if coder.account is not None:
            coder.account.close(Part.CHOICES, "no known shape")
        if not plain:
            return None
        skeleton = code_skeleton(coder, model, skeleton, near if is_answer else 0, min(limit, PLAIN_BYTES_MAX))
        number = shapes.find(skeleton)
        if number >= 0:
            raise Malformed("a new shape that isn't new")
        shape = shape_of(skeleton)
        if coder.account is not None:
            coder.account.close(Part.NEW_SHAPES, "a new shape")
        if shape.text_bytes > SHAPE_BYTES_MAX:
            return shape
        number = shapes.insert(shape.skeleton, shape, shape.text_bytes)
    model.shape_following.follow(far, packed_far, number)
    model.shape_following.follow(near, packed_near, number)
    return shape


def _follower(
    coder: Coder, shapes: Slots[str, Shape], guesses: list[int], excluded: list[int], context: i64, row: i64, order: i64, wanted: int
) -> int:
    """The shape, if it is one of those that followed before; -1 if it isn't."""
    rank: i64 = 0
    for number in guesses:
        if number in excluded or number >= len(shapes.items) or shapes.items[number] is None:
            continue
        own = mixed(mixed(context, number), row)
        if coder.pair(own, mixed(mixed(111, order * 4 + rank), row), 1 if number == wanted else 0):
            return number
        rank += 1
    return -1


def _code_values(coder: Coder, model: Model, shape: Shape, values: list[Scalar], limit: int) -> str:
    """The body of a message of `shape`."""
    left = limit - shape.text_bytes
    plan = shape.plan
    tokens = [""] * len(plan.holes)
    readings = Readings()
    if coder.account is not None:
        coder.account.shape(shape.segments)
    for place in plan.order:
        if left < 0:
            raise LimitExceeded("frame_text_bytes", limit, limit - left)
        token = token_of(code_value(coder, model, shape, place, values[place] if coder.writing else None, readings, left + 1))
        left -= len(token)
        tokens[place] = token
        if coder.account is not None:
            coder.account.value(place, token)
    return filled(shape.segments, tokens)
