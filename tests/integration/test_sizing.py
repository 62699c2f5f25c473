"""How large a file is: real servers on sockets, kind ones and hostile ones."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final

import pytest
from aiohttp import web

from ocppress_gateway.cloud import sizing
from ocppress_gateway.cloud.sizing import REDIRECTS_MAX, TransferSizing, is_public
from ocppress_gateway.core.events import SizeTransfer, TransferSized

SIZE: Final = 31_415_926
FILE: Final = b"x" * 1000
PASSWORD: Final = "Pw-0z7-planted"

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def _server(handler: Handler, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """An HTTP server for any path and method; its port."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    assert site._server is not None
    try:
        yield site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _raw(say: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A server of bytes; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                await say(writer)
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _sizes(urls: Iterable[str], hosts: Iterable[str] = ("127.0.0.1",)) -> list[TransferSized]:
    """What is reported of these URLs, asked all at once."""
    found: dict[int, TransferSized] = {}
    async with asyncio.TaskGroup() as group:
        asking = TransferSizing(
            lambda event: found.update({event.ticket: event}), lambda work, name: group.create_task(work, name=name), private_hosts=hosts
        )
        for ticket, url in enumerate(urls):
            asking.size(SizeTransfer("CP1", ticket, url))
    return [found[ticket] for ticket in sorted(found)]


async def _size(url: str, hosts: Iterable[str] = ("127.0.0.1",)) -> TransferSized:
    (found,) = await _sizes([url], hosts)
    return found


def _of(handler: Handler, path: str = "/fw.bin") -> TransferSized:
    async def main() -> TransferSized:
        async with _server(handler) as port:
            return await _size(f"http://127.0.0.1:{port}{path}")

    return asyncio.run(main())


def _of_bytes(*pieces: bytes, pause_s: float = 0.0) -> TransferSized:
    async def say(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    async def main() -> TransferSized:
        async with _raw(say) as port:
            return await _size(f"http://127.0.0.1:{port}/fw.bin")

    return asyncio.run(main())


# --- kind ones


def test_head_says_it() -> None:
    asked = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        asked.append((request.method, request.headers["Accept-Encoding"]))
        return web.Response(headers={"Content-Length": str(SIZE)})

    assert _of(handler) == TransferSized("CP1", 0, SIZE)
    assert asked == [("HEAD", "identity")]


@pytest.mark.parametrize("status", [403, 405, 501, 400])
def test_get_of_one_byte_says_it_where_head_is_not_allowed(status: int) -> None:
    asked = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        asked.append((request.method, request.headers.get("Range")))
        if request.method == "HEAD":
            return web.Response(status=status)
        return web.Response(status=206, body=b"x", headers={"Content-Range": f"bytes 0-0/{SIZE}"})

    assert _of(handler).size_bytes == SIZE
    assert asked == [("HEAD", None), ("GET", "bytes=0-0")]


def test_a_server_that_knows_no_ranges_is_not_listened_to_the_end() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=405)
        response = web.StreamResponse(headers={"Content-Length": str(10**9)})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(FILE)
        return response

    began = time.monotonic()
    assert _of(handler).size_bytes == 10**9
    assert time.monotonic() - began < 4


def test_redirects_are_followed_a_few_times_and_no_further() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        left = int(request.path[1:])
        if left == 0:
            return web.Response(headers={"Content-Length": str(SIZE)})
        return web.Response(status=302, headers={"Location": f"/{left - 1}"})

    assert _of(handler, f"/{REDIRECTS_MAX}").size_bytes == SIZE
    found = _of(handler, f"/{REDIRECTS_MAX + 1}")
    assert (found.size_bytes, found.reason) == (None, "more than 3 redirects")


def test_the_password_in_a_url_is_for_its_server_and_no_other() -> None:
    heard = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        heard.append((request.path, request.headers.get("Authorization")))
        if request.path == "/a":
            return web.Response(status=307, headers={"Location": f"http://localhost:{request.url.port}/b"})
        return web.Response(headers={"Content-Length": str(SIZE)})

    async def main() -> TransferSized:
        async with _server(handler) as port:
            return await _size(f"http://user:{PASSWORD}@127.0.0.1:{port}/a", ["127.0.0.1", "localhost"])

    assert asyncio.run(main()).size_bytes == SIZE
    assert heard[0][1] is not None
    assert heard[1] == ("/b", None)


def test_one_url_is_asked_once_for_all_stations_and_again_if_it_failed() -> None:
    asked = 0

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if request.path == "/gone":
            return web.Response(status=404)
        await asyncio.sleep(0.1)
        return web.Response(headers={"Content-Length": str(SIZE)})

    async def main() -> None:
        async with _server(handler) as port:
            url = f"http://127.0.0.1:{port}"
            assert {found.size_bytes for found in await _sizes([f"{url}/fw.bin"] * 50)} == {SIZE}
            assert asked == 1
            found: list[TransferSized] = []
            async with asyncio.TaskGroup() as group:
                asking = TransferSizing(found.append, lambda work, name: group.create_task(work, name=name), private_hosts=["127.0.0.1"])
                for count in (1, 2):
                    asking.size(SizeTransfer("CP1", count, f"{url}/gone"))
                    while len(found) < count:  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(0.01)
            assert asked == 3
            assert {one.reason for one in found} == {"its server answers 404"}

    asyncio.run(main())


# --- hostile ones


@pytest.mark.parametrize("length", ["-5", "1e9", "9" * 16, "0", "", "0x10", "12, 13", "٣"])
def test_a_length_that_is_none(length: str) -> None:
    found = _of_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode() + b"\r\n\r\n")
    assert found.size_bytes is None
    assert found.reason


@pytest.mark.parametrize(
    "ranged", ["bytes 0-0/*", "bytes 0-0/", "bytes 0-5/7", "bytes */7", "items 0-0/7", "bytes 0-0/7x", "bytes 0-0/" + "9" * 16]
)
def test_a_range_that_is_none(ranged: str) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=405)
        return web.Response(status=206, body=b"x", headers={"Content-Range": ranged})

    assert _of(handler).size_bytes is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x16\x03\x01\x02\x00",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/9.9 999 \xff\xfe\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe://\x80\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http:///\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://a b/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://xn--a/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://h:99999/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a" * 300 + b".example/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: \x00=;;;=\xff\r\nTransfer-Encoding: gzip, chunked\r\n\r\nzz",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 100_000 + b"\r\n",
    ],
)
def test_whatever_a_server_says_is_no_reason_to_stumble(answer: bytes) -> None:
    found = _of_bytes(answer)
    assert found.size_bytes is None
    assert found.reason
    assert len(found.reason) < 200


def test_headers_without_end_end() -> None:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: " + b"y" * 1000 + b"\r\n")
            await writer.drain()

    async def main() -> TransferSized:
        async with _raw(say) as port:
            return await _size(f"http://127.0.0.1:{port}/")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert asyncio.run(main()).size_bytes is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, "KiB"


def test_a_server_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "SIZE_S", 0.5)
    found = _of_bytes(b"HTTP/1.1 200 OK\r\n", *[b"X: a\r\n"] * 100, pause_s=0.1)
    assert (found.size_bytes, found.reason) == (None, "its server didn't answer within 0.5 s")


def test_nobody_is_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        found = asyncio.run(_size(f"http://user:{PASSWORD}@127.0.0.1:{port}/?{PASSWORD}"))
    assert found.reason == f"127.0.0.1:{port} cannot be reached: Connection refused"


# --- where nobody is to be asked


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0x7f.1", "[::]", "LOCALHOST"],
)
def test_a_private_address_is_not_connected_to_however_it_is_spelled(host: str) -> None:
    asked = 0

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response(headers={"Content-Length": str(SIZE)})

    async def main() -> TransferSized:
        bound = "::1" if "::1" in host else "127.0.0.1"
        async with _server(handler, bound) as port:
            return await _size(f"http://{host}:{port}/", hosts=[])

    found = asyncio.run(main())
    assert found.size_bytes is None
    assert asked == 0
    assert found.reason.endswith("it has no public address, and isn't in `hosts`")


@pytest.mark.parametrize("host", ["2130706433", "127.1", "localhost."])
def test_spellings_that_not_every_library_knows_lead_nowhere_either(host: str) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(headers={"Content-Length": str(SIZE)})

    async def main() -> TransferSized:
        async with _server(handler) as port:
            return await _size(f"http://{host}:{port}/", hosts=[])

    assert asyncio.run(main()).size_bytes is None


def test_nor_after_a_redirect() -> None:
    asked = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": f"http://localhost:{request.url.port}/private"})

    found = _of(handler, "/public")
    assert asked == ["/public"]
    assert found.size_bytes is None
    assert found.reason.endswith("it has no public address, and isn't in `hosts`")


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "localhost."])
def test_what_the_operator_has_named_may_be_private(host: str) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(headers={"Content-Length": str(SIZE)})

    async def main() -> TransferSized:
        async with _server(handler) as port:
            return await _size(f"http://localhost:{port}/", hosts=[host])

    assert asyncio.run(main()).size_bytes == SIZE


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://", "http:///f", "://", "http://[", "http://127.0.0.1:0/", "https://\x00/", "http://%00/"]
)
def test_what_is_no_url_of_a_web_server(url: str) -> None:
    found = asyncio.run(_size(url))
    assert found.size_bytes is None
    assert found.reason


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("::ffff:93.184.215.14", True),
        ("64:ff9b::5db8:d70e", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:169.254.169.254", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", False),
        ("2001:db8::1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_public_addresses(address: str, expected: bool) -> None:
    assert is_public(address) is expected
