"""What outgoing WebSockets share."""

from __future__ import annotations

import asyncio

from ocppress_gateway.http_client import abort


class ClosedTwice(asyncio.WriteTransport):
    """As the TLS of Python 3.11.2's asyncio is then: it has let go of its protocol, and calls it all the same."""

    tried = False

    def abort(self) -> None:
        self.tried = True
        raise AttributeError("'NoneType' object has no attribute '_abort'")


def test_a_connection_that_asyncio_has_already_let_go_of_can_be_aborted() -> None:
    transport = ClosedTwice()
    abort(transport)
    assert transport.tried
