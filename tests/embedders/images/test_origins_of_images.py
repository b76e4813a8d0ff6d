"""What passes between a host and us: names, redirects, codings, what it learns of us."""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading
import tracemalloc
import zlib

import pytest

from lookalike import __version__
from lookalike.embedders.images import connecting
from lookalike.embedders.images.connecting import Names
from lookalike.embedders.images.fetch import Fetcher, FetchTerms
from lookalike.embedders.images.image_errors import ImageNotFetched, ImageTooLarge, UrlRefused
from lookalike.embedders.images.image_settings import ImageSettings
from tests.waiting import PATIENCE_SECONDS, until

from .web import LOOPBACK, Client, Web, answer, refusal


def moved(location: bytes) -> bytes:
    return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/café.jpg".encode(), "/caf%C3%A9.jpg"),
        ("/café.jpg".encode("latin-1"), "/caf%E9.jpg"),
        ("ä/ö?ü=ß".encode("latin-1"), "/%E4/%F6?%FC=%DF"),
        ("/写真.jpg?名=1".encode(), "/%E5%86%99%E7%9C%9F.jpg?%E5%90%8D=1"),
        ("/写真.jpg".encode("shift-jis"), "/%8E%CA%90%5E.jpg"),
        (b"//cdn.test:PORT/\xe9", "/%E9"),
        (b"http://cdn.test:PORT/a b\xe9", "/a%20b%E9"),
        ("http://bücher.test:PORT/ä".encode(), "/%C3%A4"),
        ("http://bücher.test:PORT/ä".encode("latin-1"), "/%E4"),
    ],
)
async def test_a_redirect_in_raw_letters(web: Web, location: bytes, path: str) -> None:
    web.pages |= {"/photo": moved(location.replace(b"PORT", b"%d" % web.port))}
    async with Client(allowed_hosts=("127.0.0.1",)) as client:
        client.names.names["xn--bcher-kva.test"] = LOOPBACK
        web.pages |= {path.replace("%5E", "^"): answer(b"bytes"), path: answer(b"bytes")}
        assert await client.fetch(web.url()) == b"bytes"


@pytest.mark.parametrize("location", [b"http://[\xe9/", b"http://\xff\xfe.test/", b"//\x80:0/"])
async def test_a_redirect_to_no_url(web: Web, location: bytes) -> None:
    web.pages["/photo"] = moved(location)
    async with Client() as client:
        with pytest.raises((UrlRefused, ImageNotFetched)):
            await client.fetch(web.url())
    assert len(web.requests) == 1


@pytest.mark.parametrize("contact", ["", "https://shop.test/bot", "bot@shop.test"])
async def test_a_host_learns_who_asks(web: Web, contact: str) -> None:
    web.pages["/photo"] = answer(b"bytes")
    async with Client(fetch_contact=contact) as client:
        await client.fetch(web.url())
    agent = f"lookalike/{__version__}" + (f" (+{contact})" if contact else "")
    assert f"\r\nUser-Agent: {agent}\r\n" in web.requests[0]


class TestHeadersOfOrigins:
    SECRET = "Bearer s3cret"

    def terms(self, web: Web) -> FetchTerms:
        return FetchTerms(headers={web.url(""): {"Authorization": self.SECRET, "accept": "a/b"}})

    async def test_they_take_the_place_of_ours(self, web: Web) -> None:
        web.pages["/photo"] = answer(b"bytes")
        async with Client() as client:
            await client.fetch(web.url(host="Photos.TEST"), self.terms(web))
        head = web.requests[0]
        assert f"Authorization: {self.SECRET}" in head
        assert head.lower().count("\r\naccept: ") == 1
        assert "accept: a/b" in head

    async def test_no_other_origin_gets_them(self, web: Web) -> None:
        """Another host, another port; and the first host only when it is asked itself."""
        other = await Web().start()
        web.pages |= {"/photo": moved(web.url("/b", host="cdn.test").encode())}
        web.pages |= {"/b": moved(other.url("/c").encode())}
        other.pages |= {"/c": moved(web.url("/d").encode())}
        web.pages |= {"/d": answer(b"bytes")}
        async with Client() as client:
            assert await client.fetch(web.url(), self.terms(web)) == b"bytes"
        heads = [*web.requests, *other.requests]
        told = [head.split()[1] for head in heads if self.SECRET in head]
        assert told == ["/photo", "/d"]
        assert self.SECRET not in repr(self.terms(web))
        await other.stop()

    async def test_what_is_meant_for_https_never_goes_over_http(self, web: Web) -> None:
        web.pages["/photo"] = answer(b"bytes")
        secure = FetchTerms(headers={web.url("", scheme="https"): {"X-Key": self.SECRET}})
        async with Client() as client:
            await client.fetch(web.url(), secure)
        assert self.SECRET not in web.requests[0]


class TestHints:
    async def test_the_operator_is_told_what_would_allow_a_host(
        self, web: Web, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with Client() as client:
            for path in ("/a.jpg?token=secret", "/b.jpg", "/c.jpg"):
                with pytest.raises(ImageNotFetched) as caught:
                    await client.fetch(web.url(path, host="evil.test"))
                assert "LOOKALIKE" not in caught.value.text
            with pytest.raises(ImageNotFetched):
                await client.fetch("http://missing.test/")
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert record.getMessage() == (
            "fetch refused: host=evil.test addresses=127.0.0.1 reason=private "
            "allowed_by=LOOKALIKE_FETCH_ALLOW"
        )

    async def test_a_redirect_to_one_is_told_too(
        self, web: Web, caplog: pytest.LogCaptureFixture
    ) -> None:
        web.pages["/photo"] = moved(web.url("/secret", host="evil.test").encode())
        async with Client() as client:
            with pytest.raises(ImageNotFetched):
                await client.fetch(web.url())
        assert ["host=evil.test" in line for line in caplog.messages] == [True]

    async def test_many_hosts_do_not_fill_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        async with Client() as client:
            for number in range(3 * connecting.MAX_HINTS):
                client.names.names[f"host{number}.test"] = ["10.0.0.1"]
                with pytest.raises(ImageNotFetched):
                    await client.fetch(f"http://host{number}.test/")
        assert len(caplog.records) == connecting.MAX_HINTS


async def test_a_name_that_is_not_found_out_holds_up_no_other(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name server says nothing: one thread waits for it, however many images it has."""
    gate, find = threading.Event(), connecting._find_addresses
    asked = 0

    def find_slowly(host: str, port: int) -> list[str]:
        nonlocal asked
        if host == "slow.test":
            asked += 1
            gate.wait(PATIENCE_SECONDS)
            raise OSError("no such host")
        return find(host, port)

    monkeypatch.setattr(connecting, "_find_addresses", find_slowly)
    web.pages["/photo"] = answer(b"bytes")
    settings = ImageSettings(allowed_hosts=("localhost",), fetch_per_host=16)
    fetcher = Fetcher(settings)
    slow = [asyncio.create_task(fetcher.fetch("http://slow.test/")) for _ in range(15)]
    await until(lambda: asked == 1, "the name is asked for")
    slow.pop().cancel()
    assert await fetcher.fetch(web.url(host="localhost")) == b"bytes"
    gate.set()
    for found in await asyncio.gather(*slow, return_exceptions=True):
        assert isinstance(found, ImageNotFetched)
    assert asked == 1
    await fetcher.close()


async def test_nobody_waits_any_more_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    monkeypatch.setattr(connecting, "_find_addresses", find_nothing)
    names = Names()
    for _ in range(2):
        with pytest.raises(OSError, match="no such host"):
            await names.look_up("missing.test", 80)
    assert not names._asked
    names.close()


class TestCodings:
    async def test_gzip_and_deflate_are_unpacked(self, web: Web) -> None:
        async with Client() as client:
            for coding, body in (
                ("gzip", gzip.compress(b"bytes")),
                ("deflate", zlib.compress(b"bytes")),
            ):
                web.pages["/photo"] = answer(body, Content_Encoding=coding)
                assert await client.fetch(web.url()) == b"bytes"

    async def test_a_gzip_bomb(self, web: Web) -> None:
        bomb = gzip.compress(b"\x00" * 200_000_000)
        web.pages["/photo"] = answer(bomb, Content_Encoding="gzip")
        tracemalloc.start()
        await refusal(web.url(), ImageTooLarge, max_bytes=1_000_000)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 10_000_000

    @pytest.mark.parametrize(
        "coding", ["identity", "utf-8", "UTF-8", "aws-chunked", "", " , aws-chunked,identity"]
    )
    async def test_what_compresses_nothing_is_no_coding(self, web: Web, coding: str) -> None:
        web.pages["/photo"] = answer(b"bytes", Content_Encoding=coding)
        async with Client() as client:
            assert await client.fetch(web.url()) == b"bytes"
            web.pages["/photo"] = answer(
                gzip.compress(b"bytes"), Content_Encoding=coding, content_encoding="gzip"
            )
            assert await client.fetch(web.url()) == b"bytes"

    @pytest.mark.parametrize("coding", ["br", "gzip, gzip", "zstd", "utf-8, br", "utf-16"])
    async def test_other_codings_are_refused(self, web: Web, coding: str) -> None:
        web.pages["/photo"] = answer(b"bytes", Content_Encoding=coding)
        await refusal(web.url(), ImageNotFetched)

    async def test_broken_gzip(self, web: Web) -> None:
        web.pages["/photo"] = answer(b"no gzip at all", Content_Encoding="gzip")
        await refusal(web.url(), ImageNotFetched)
