"""Fetching from real servers on loopback: good ones, hostile ones, and forbidden ones."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import trustme

from lookalike.embedders.images.fetch import Fetcher
from lookalike.embedders.images.image_errors import (
    ImageBusy,
    ImageForbidden,
    ImageGone,
    ImageNotFetched,
    ImageTooLarge,
    UrlRefused,
)
from lookalike.embedders.images.image_settings import ImageSettings
from tests.waiting import PATIENCE_SECONDS, until

from .web import LOOPBACK, Client, Web, Writer, answer, refusal


async def fetched_in_the_end(client: Client, url: str) -> bytes:
    """Asks again where the time was too short: the machine may be busy with other work."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(ImageNotFetched):
                return await client.fetch(url)


async def test_an_image_is_fetched(web: Web) -> None:
    web.pages["/a%20b.jpg?w=1"] = answer(b"bytes")
    async with Client() as client:
        assert await client.fetch(web.url("/a b.jpg?w=1#part")) == b"bytes"
    head = web.requests[0].lower()
    assert head.startswith("get /a%20b.jpg?w=1 http/1.1")
    assert f"host: photos.test:{web.port}" in head
    assert "accept-encoding: identity" in head
    assert "cookie" not in head
    assert "authorization" not in head


async def test_connections_are_used_again_and_names_asked_once_for_each(web: Web) -> None:
    web.pages["/photo"] = answer(b"bytes")
    async with Client() as client:
        for _ in range(5):
            await client.fetch(web.url())
        assert web.connections == 1
        assert client.names.asked == ["photos.test"]


async def test_fetches_are_bounded_in_number(web: Web) -> None:
    most, released = 0, asyncio.Event()

    async def slow(writer: Writer) -> None:
        nonlocal most
        most = max(most, web.open)
        await released.wait()
        writer.write(answer(b"bytes"))

    web.pages["/photo"] = slow
    elsewhere = await Web().start()
    elsewhere.pages["/photo"] = answer(b"bytes")
    async with Client(fetch_connections=3) as client, Client() as other:
        fetches = asyncio.gather(*(client.fetch(web.url()) for _ in range(12)))
        await until(lambda: web.open == 3, "as many are open as may be")
        # A whole fetch on the same loop, in which a fourth would have come.
        assert await other.fetch(elsewhere.url()) == b"bytes"
        released.set()
        await fetches
    await elsewhere.stop()
    assert most == 3


class TestWhereToGo:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433",
            "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "[::]", "0", "127.0.0.1.", "localhost.",
        ],
    )  # fmt: skip
    async def test_no_spelling_of_loopback(self, web: Web, host: str) -> None:
        fetcher = Fetcher(ImageSettings(fetch_timeout_s=5.0))  # with the system's own resolver
        try:
            with pytest.raises((ImageNotFetched, UrlRefused)):
                await fetcher.fetch(web.url(host=host))
        finally:
            await fetcher.close()
        assert web.connections == 0

    async def test_the_system_resolver_finds_what_is_allowed(self, web: Web) -> None:
        web.pages["/photo"] = answer(b"bytes")
        fetcher = Fetcher(ImageSettings(allowed_hosts=("localhost", "127.0.0.0/8")))
        try:
            assert await fetcher.fetch(web.url(host="localhost")) == b"bytes"
            assert await fetcher.fetch(web.url(host="127.0.0.1")) == b"bytes"
        finally:
            await fetcher.close()

    async def test_a_name_of_a_private_address(self, web: Web) -> None:
        hidden = await refusal(web.url(host="evil.test"), ImageNotFetched)
        missing = await refusal(web.url(host="missing.test"), ImageNotFetched)
        assert web.connections == 0
        assert hidden == missing, "the text must not say which internal names exist"

    async def test_the_checked_address_is_the_one_connected_to(self, web: Web) -> None:
        """DNS rebinding: whatever the name leads to a moment later, it is asked only once."""
        web.pages["/photo"] = answer(b"bytes")
        async with Client(allowed_hosts=("127.0.0.1",)) as client:
            turns = iter([["127.0.0.1"], ["10.0.0.1"]])

            async def rebinding(host: str, port: int) -> list[str]:
                return next(turns)

            client.fetcher._resolve = rebinding
            assert await client.fetch(web.url(host="rebind.test")) == b"bytes"
            assert next(turns) == ["10.0.0.1"]

    async def test_the_next_address_is_tried(self, web: Web) -> None:
        web.pages["/photo"] = answer(b"bytes")
        async with Client() as client:
            client.names.names["photos.test"] = ["127.0.0.2", "127.0.0.1"]
            assert await client.fetch(web.url()) == b"bytes"

    @pytest.mark.parametrize(
        "url",
        [
            "", "photo.jpg", "/photo", "//photos.test/a", "http://", "http:///a",
            "ftp://photos.test/a", "file:///etc/passwd", "gopher://photos.test/",
            "data:image/png,x", "https:photos.test", "javascript:1", "http://user@photos.test/", "http://user:pw@photos.test/",
            "http://photos.test:0/", "http://photos.test:99999/", "http://photos.test:x/",
            "http://pho\ntos.test/", "http://photos.test/\x00", "http://[::1/",
            "http://exa mple.test/", "http://photos.test/" + "a" * 9000, "http://-.test\u3002/", "http://\ud800.test/",
        ],
    )  # fmt: skip
    async def test_urls_that_are_not_fetched(self, url: str) -> None:
        async with Client() as client:
            with pytest.raises((UrlRefused, ImageNotFetched)) as caught:
                await client.fetch(url)
            assert "etc/passwd" not in caught.value.text

    async def test_proxies_of_the_environment_are_not_asked(
        self, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        web.pages["/photo"] = answer(b"bytes")
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        async with Client() as client:
            assert await client.fetch(web.url()) == b"bytes"


class TestRedirects:
    async def test_they_are_followed(self, web: Web) -> None:
        web.pages["/photo"] = answer(status=301, Location="/b")
        web.pages["/b"] = answer(status=307, Location=web.url("/c", host="cdn.test"))
        web.pages["/c"] = answer(b"bytes")
        async with Client() as client:
            assert await client.fetch(web.url()) == b"bytes"
            assert client.names.asked[-1] == "cdn.test"

    @pytest.mark.parametrize("host", ["evil.test", "127.0.0.1", "0x7f.1"])
    async def test_not_to_a_private_address(self, web: Web, host: str) -> None:
        web.pages["/photo"] = answer(status=302, Location=web.url("/secret", host=host))
        web.pages["/secret"] = answer(b"secret")
        async with Client() as client:
            client.names.names |= {"127.0.0.1": LOOPBACK, "0x7f.1": LOOPBACK}
            with pytest.raises(ImageNotFetched):
                await client.fetch(web.url())
        assert not [head for head in web.requests if "/secret" in head]

    @pytest.mark.parametrize(
        "to", ["file:///etc/passwd", "ftp://photos.test/", "http://a:b@cdn.test/"]
    )
    async def test_not_to_other_schemes_or_with_passwords(self, web: Web, to: str) -> None:
        web.pages["/photo"] = answer(status=302, Location=to)
        await refusal(web.url(), UrlRefused)

    async def test_their_number_is_bounded(self, web: Web) -> None:
        web.pages["/photo"] = answer(status=302, Location="/photo")
        assert "too often" in await refusal(web.url(), ImageNotFetched, max_redirects=3)
        assert len(web.requests) == 4


class TestHostileServers:
    @pytest.mark.parametrize(
        ("status", "kind", "code"),
        [
            *(
                (status, ImageNotFetched, 504)
                for status in (204, 206, 304, 400, 402, 451, 500, 502)
            ),
            *((status, ImageForbidden, 403) for status in (401, 403)),
            *((status, ImageGone, 410) for status in (404, 410)),
            *((status, ImageBusy, 503) for status in (429, 503)),
        ],
    )
    async def test_other_statuses(
        self, web: Web, status: int, kind: type[ImageNotFetched], code: int
    ) -> None:
        web.pages["/photo"] = (
            answer(status=status, Location="/b") if status == 304 else answer(status=status)
        )
        assert str(status) in await refusal(web.url(), kind)
        assert kind.code == code

    async def test_a_body_that_is_too_long(self, web: Web) -> None:
        web.pages["/photo"] = answer(b"x" * 1001)
        assert "1000 bytes" in await refusal(web.url(), ImageTooLarge, max_bytes=1000)
        web.pages["/photo"] = answer(b"x" * 1000)
        async with Client(max_bytes=1000) as client:
            assert len(await client.fetch(web.url())) == 1000

    async def test_a_length_that_is_announced_is_believed(self, web: Web) -> None:
        web.pages["/photo"] = answer(b"x", length=10**12)
        assert "bytes" in await refusal(web.url(), ImageTooLarge)

    async def test_a_body_without_an_end(self, web: Web) -> None:
        sent = 0

        async def endless(writer: Writer) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while sent < 100_000_000:
                writer.write(b"x" * 65_536)
                sent += 65_536
                await writer.drain()

        web.pages["/photo"] = endless
        await refusal(web.url(), ImageTooLarge, max_bytes=1_000_000)
        assert sent < 20_000_000

    async def test_a_body_without_an_end_in_chunks(self, web: Web) -> None:
        async def endless(writer: Writer) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                await writer.drain()

        web.pages["/photo"] = endless
        await refusal(web.url(), ImageTooLarge, max_bytes=1_000_000)

    @pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
    async def test_a_slow_drip(self, web: Web, head: bytes) -> None:
        async def drip(writer: Writer) -> None:
            writer.write(head)
            while True:
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.05)

        web.pages["/photo"] = drip
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert "0.4 s" in await refusal(web.url(), ImageNotFetched, fetch_timeout_s=0.4)

    async def test_silence(self, web: Web) -> None:
        async def silence(writer: Writer) -> None:
            await asyncio.sleep(2)

        web.pages["/photo"] = silence
        await refusal(web.url(), ImageNotFetched, fetch_timeout_s=0.3)

    async def test_a_name_that_takes_forever(self) -> None:
        async def forever(host: str, port: int) -> list[str]:
            await asyncio.sleep(60)
            return []

        fetcher = Fetcher(ImageSettings(fetch_timeout_s=0.2), resolve=forever)
        with pytest.raises(ImageNotFetched, match=r"0\.2 s"):
            await fetcher.fetch("http://photos.test/")
        await fetcher.close()

    async def test_a_slow_image_does_not_hold_up_the_next_one(self, web: Web) -> None:
        async def silence(writer: Writer) -> None:
            await asyncio.sleep(2)

        web.pages |= {"/photo": silence, "/good": answer(b"bytes")}
        async with Client(fetch_timeout_s=0.3, fetch_connections=1) as client:
            with pytest.raises(ImageNotFetched):
                await client.fetch(web.url())
            assert await fetched_in_the_end(client, web.url("/good")) == b"bytes"

    @pytest.mark.parametrize(
        "page",
        [
            answer(b"short", length=1000), b"nonsense\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nabcdefg",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        ],
        ids=[
            "short", "nonsense", "ssh", "empty", "negative", "two-lengths", "chunk",
            "field", "fields",
        ],
    )  # fmt: skip
    async def test_broken_answers(self, web: Web, page: bytes) -> None:
        async def broken(writer: Writer) -> None:
            writer.write(page)
            await writer.drain()

        web.pages["/photo"] = broken
        await refusal(web.url(), ImageNotFetched)

    async def test_nobody_listens(self, web: Web) -> None:
        await web.stop()
        await refusal(web.url(), ImageNotFetched)


class TestTls:
    """The connection goes to an address, but the certificate is that of the name."""

    authority = trustme.CA()

    @pytest_asyncio.fixture
    async def secure_web(self) -> AsyncIterator[Web]:
        server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert("photos.test").configure_cert(server_side)
        server = await Web().start(server_side)
        server.pages["/photo"] = answer(b"bytes")
        yield server
        await server.stop()

    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    async def test_the_right_name(self, secure_web: Web) -> None:
        async with Client(tls=self.trusting()) as client:
            assert await client.fetch(secure_web.url(scheme="https")) == b"bytes"

    async def test_another_name(self, secure_web: Web) -> None:
        url = secure_web.url(scheme="https", host="cdn.test")
        await refusal(url, ImageNotFetched, tls=self.trusting())
        assert not secure_web.requests

    async def test_an_unknown_authority(self, secure_web: Web) -> None:
        await refusal(secure_web.url(scheme="https"), ImageNotFetched)
        assert not secure_web.requests
