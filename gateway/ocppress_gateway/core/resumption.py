"""Contexts over an orderly restart of the cloud, which so costs the link no new epochs.

    a machine stops ──SaveContext──► disk ──read, and gone from there──► ContextsFound ──► the next machine: each used once, or dropped

A context is of use only if the edge names the same epoch and numbers in its hello; then both ends have been through the same frames. One that
isn't costs a new epoch, as if nothing had been saved.
"""

from __future__ import annotations

from collections.abc import Iterable

from ocppress_codecs.interface import CodecName
from ocppress_codecs.registry import fingerprint
from ocppress_gateway.core.channel import Channel
from ocppress_gateway.core.parts import KnownStation
from ocppress_gateway.core.saved_contexts import LeavingContext, SavedContext
from ocppress_gateway.masking import carries_secret

__all__ = ["WaitingContexts", "is_known", "leaving", "resumed"]


class WaitingContexts:
    """What a machine has found at its start, until the edges say hello."""

    def __init__(self) -> None:
        self._by_edge: dict[str, dict[str, SavedContext]] = {}

    def found(self, contexts: Iterable[SavedContext]) -> None:
        """These were saved."""
        for context in contexts:
            self._by_edge.setdefault(context.edge, {})[context.identity] = context

    def take(self, edge: str) -> dict[str, SavedContext]:
        """An edge's, by identity; they are no longer here."""
        return self._by_edge.pop(edge, {})

    def take_all(self) -> list[SavedContext]:
        """Those of edges that haven't come back."""
        left = [context for contexts in self._by_edge.values() for context in contexts.values()]
        self._by_edge.clear()
        return left


def leaving(edge: str, identity: str, codec: CodecName, channel: Channel) -> LeavingContext:
    """A channel to be saved; after this you must not touch it any more."""
    return LeavingContext(
        edge=edge,
        identity=identity,
        codec=codec,
        version=channel.version,
        epoch=channel.epoch,
        sent=channel.sent,
        received=channel.received,
        states=channel.saved,
    )


def is_known(context: SavedContext, known: KnownStation, codec: CodecName) -> bool:
    """Whether the edge stands where this end stood: it has all that was sent, and can send again what it has sent since."""
    same_codec = context.codec is codec and context.fingerprint == fingerprint(codec)
    same_epoch = known.epoch == context.epoch and known.intact
    return same_codec and same_epoch and known.received == context.sent and known.sent >= context.received


def resumed(context: SavedContext) -> Channel:
    """Go on with a context. Raises `DecodeError` if it isn't what was saved."""
    return Channel.restored(
        context.version, context.epoch, context.endpoint(), sent=context.sent, received=context.received, is_secret=carries_secret
    )
