"""The socket under a link, against the kernel's own view of it."""

from __future__ import annotations

import asyncio
import socket

from ocppress_gateway.transports.tcp import (
    KEEPALIVE_IDLE_S,
    NOT_SENT_BYTES,
    USER_TIMEOUT_S,
    AckLimit,
    Wiretap,
    set_cloud_options,
    set_edge_options,
    set_keepalive,
)


def _pair(host: str = "127.0.0.1") -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.bind((host, 0))
        listening.listen()
        near = socket.create_connection(listening.getsockname()[:2])
        far, _ = listening.accept()
    return near, far


def test_counts_are_those_of_what_was_sent() -> None:
    near, far = _pair()
    with near, far:
        tap = Wiretap(near)
        before = tap.read()
        assert before is not None
        assert (before.sent_bytes, before.received_bytes, before.retransmitted_segments) == (0, 0, 0)
        assert (before.sent_segments, before.received_segments) == (2, 1), "SYN and ACK, SYN-ACK"
        near.sendall(bytes(100))
        assert len(far.recv(1000)) == 100
        far.sendall(bytes(30))
        assert len(near.recv(1000)) == 30
        after = tap.read()
        assert after is not None
        assert (after.sent_bytes, after.received_bytes) == (100, 30)
        assert (after.sent_data_segments, after.received_data_segments) == (1, 1)
        assert (after.retransmitted_segments, after.retransmitted_bytes) == (0, 0)
        assert after.sent_segments >= 3
        assert after.received_segments >= 2
        tap.close()


def test_headers_are_counted_with_timestamps_and_address_family() -> None:
    with open("/proc/sys/net/ipv4/tcp_timestamps") as file:
        timestamps_bytes = 12 if file.read().strip() != "0" else 0
    for host, bytes_ in (("127.0.0.1", 40), ("::1", 60)):
        try:
            near, far = _pair(host)
        except OSError:
            continue  # a machine without IPv6
        with near, far:
            tap = Wiretap(near)
            count = tap.read()
            tap.close()
        assert count is not None
        assert count.header_bytes == bytes_ + timestamps_bytes


def test_counts_stay_when_the_socket_is_closed_and_the_far_end_sees_it_then() -> None:
    near, far = _pair()
    with near, far:
        tap = Wiretap(near)
        near.sendall(bytes(100))
        near.close()
        far.settimeout(10)
        assert len(far.recv(1000)) == 100
        still_open = tap.read()
        assert still_open is not None
        tap.close()
        assert far.recv(1000) == b"", "the duplicate was the last to hold the connection"
        closed = tap.read()
        assert closed is not None
        assert closed.sent_bytes == 100
        tap.close()


def test_only_the_edge_probes() -> None:
    with socket.socket() as edge, socket.socket() as cloud:
        set_edge_options(edge, KEEPALIVE_IDLE_S)
        set_cloud_options(cloud)
        for end in (edge, cloud):
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == NOT_SENT_BYTES
        assert edge.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert edge.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE_IDLE_S
        assert cloud.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        assert user_timeout_s(cloud) == USER_TIMEOUT_S
        assert user_timeout_s(edge) == 0, "a longer silence would end with the first probe that is lost"
        set_keepalive(edge, 1500)
        assert edge.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 1500


def user_timeout_s(connection: socket.socket) -> float:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000


def test_acknowledgements_are_waited_for_while_data_may_be_under_way() -> None:
    async def work() -> None:
        with socket.socket() as connection:
            limit = AckLimit(connection, timeout_s=0.2)
            for _ in range(2):
                limit.sending()
                await asyncio.sleep(0.15)
                limit.sending()
                await asyncio.sleep(0.15)
                assert user_timeout_s(connection) == 0.2
                await asyncio.sleep(0.15)
                assert user_timeout_s(connection) == 0
            limit.sending()
            limit.close()

    asyncio.run(work())
