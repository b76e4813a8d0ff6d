"""The image fields of a record, all the way: base64 and URLs, limits, hashes, time."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from lookalike.embedders.images import image_settings
from lookalike.embedders.images import reader as reader_module
from lookalike.embedders.images.base64_field import decode_base64, decode_data_url
from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.images.image_errors import (
    ImageError,
    ImageNotFetched,
    ImageTooLarge,
    ImageUnreadable,
)
from lookalike.embedders.images.image_settings import ImageSettings
from lookalike.embedders.images.reader import ImageReader
from tests.waiting import PATIENCE_SECONDS, until

from .images import difference, gradient, in_format
from .web import Web, answer

PNG = in_format("PNG")
TEXT = base64.b64encode(PNG).decode()


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[ImageReader]:
    reader = ImageReader(
        ImageSettings(allowed_hosts=("127.0.0.1",), fetch_timeout_s=PATIENCE_SECONDS)
    )
    yield reader
    await reader.close()


class TestBase64:
    @pytest.mark.parametrize(
        "header",
        [
            "", "data:image/png;base64,", "data:image/jpeg;base64,", "DATA:IMAGE/PNG;BASE64,",
            "data:;base64,", "data:image/png;charset=utf-8;base64, ", "  data:image/png;base64,\n",
        ],
    )  # fmt: skip
    def test_with_and_without_a_data_header(self, header: str) -> None:
        assert decode_base64(header + TEXT, 10**6) == PNG

    def test_line_ends_and_spaces_do_not_matter(self) -> None:
        lines = "\r\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76))
        assert decode_base64(f" {lines}\n", 10**6) == PNG

    @pytest.mark.parametrize(
        "text",
        [
            "", " ", "data:image/png;base64,", "data:image/png,abcd", "====", TEXT + "A",
            TEXT[:-1] + "!", "%" + TEXT, "-" + TEXT[1:], "é" + TEXT, "\ud800", "A", "AAAAA",
            "AAA==", "AA=A", "=AAA", "data:" + ";" * 10_000, TEXT + "==" + TEXT,
            "http://photos.test/a", "data:image/png;base64,%41%", "data:a;base64,%ff" + TEXT,
        ],
    )  # fmt: skip
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ImageUnreadable, match="`_base64` is"):
            decode_base64(text, 10**6)

    @pytest.mark.parametrize("data", [PNG, PNG + b"x", PNG + b"xy"], ids=len)
    def test_padding_may_be_missing_and_the_alphabet_that_of_urls(self, data: bytes) -> None:
        plain, url_safe = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
        assert plain != url_safe
        for text in (plain, url_safe):
            lines = "\n".join(text[at : at + 76] for at in range(0, len(text), 76)).rstrip("=")
            for form in (text, text.rstrip("="), lines, f"data:image/png;base64,{lines}"):
                assert decode_base64(form, 10**6) == data

    @pytest.mark.parametrize(
        "text", [str(TEXT.encode()), f'b"{TEXT}"', f" data:image/png;base64,b'{TEXT[:9]}"]
    )
    def test_the_notation_of_python_is_called_by_its_name(self, text: str) -> None:
        with pytest.raises(ImageUnreadable, match=r"Python's notation of bytes.*decode\(\)"):
            decode_base64(text, 10**6)

    @given(st.binary(min_size=1, max_size=300), st.integers(1, 300))
    def test_the_limit_counts_bytes_not_letters(self, data: bytes, limit: int) -> None:
        text = base64.b64encode(data).decode()
        if len(data) <= limit:
            assert decode_base64(text, limit) == data
        else:
            with pytest.raises(ImageTooLarge):
                decode_base64(text, limit)

    def test_too_much_is_refused_before_it_is_decoded(self) -> None:
        start = time.process_time()
        with pytest.raises(ImageTooLarge, match="1000 bytes"):
            decode_base64("A" * 50_000_000, 1000)
        assert time.process_time() - start < 0.5


class TestDataUrls:
    @pytest.mark.parametrize(
        "url",
        [
            f"data:image/png;base64,{TEXT}", f" DATA:;Base64,{TEXT}", f"data:;base64,{quote(TEXT)}",
            f"data:image/png;base64,{base64.urlsafe_b64encode(PNG).decode().rstrip('=')}",
            f"data:image/png;name=a.png;base64,{TEXT[:40]}%0A{TEXT[40:]}",
            "data:image/png," + quote(PNG), "data:," + "".join(f"%{byte:02x}" for byte in PNG),
        ],
        ids=["base64", "capitals", "quoted", "url-safe", "lines", "percent", "all-escaped"],
    )  # fmt: skip
    async def test_they_are_read_and_never_asked_for(self, url: str, reader: ImageReader) -> None:
        read = await reader.read(url=url, image_px=224)
        assert difference(read.image, gradient()) == 0
        assert read.content_hash == hashlib.blake2b(PNG, digest_size=16).hexdigest()

    @given(st.binary(min_size=1, max_size=300), st.integers(1, 300), st.booleans())
    def test_the_limit_counts_bytes(self, data: bytes, limit: int, escaped: bool) -> None:
        body = quote(data) if escaped else ";base64," + base64.b64encode(data).decode()
        url = f"data:{',' if escaped else ''}{body}"
        if len(data) <= limit:
            assert decode_data_url(url, limit) == data
        else:
            with pytest.raises(ImageTooLarge, match="`_url`"):
                decode_data_url(url, limit)

    def test_many_escapes_take_little_memory(self) -> None:
        url = "data:," + "%41" * 500_000
        tracemalloc.start()
        assert decode_data_url(url, 10**7) == b"A" * 500_000
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 12_000_000

    @pytest.mark.parametrize(
        "url",
        ["data:", "data:image/png;base64", "data:image/png;base64,", "data:,", "data:;base64,é!",
         "data:;base64,%", "data:" + "x" * 300 + ",", f"data:;base64,b'{TEXT}'"],
    )  # fmt: skip
    def test_broken_ones_are_refused_by_the_name_of_their_field(self, url: str) -> None:
        with pytest.raises(ImageUnreadable, match="`_url` is"):
            decode_data_url(url, 10**6)


async def test_base64_wins_over_the_url(reader: ImageReader) -> None:
    read = await reader.read(url="http://127.0.0.1:9/", base64=TEXT, image_px=224)
    assert difference(read.image, gradient()) == 0
    assert read.content_hash == hashlib.blake2b(PNG, digest_size=16).hexdigest()


async def test_a_url_and_base64_of_one_image_have_one_hash(reader: ImageReader) -> None:
    web = await Web().start()
    web.pages["/photo"] = answer(PNG, Content_Type="text/plain")
    fetched = await reader.read(url=web.url(host="127.0.0.1"), image_px=224)
    sent = await reader.read(base64=f"data:image/webp;base64,{TEXT}", image_px=224)
    assert fetched.content_hash == sent.content_hash
    assert difference(fetched.image, sent.image) == 0
    await web.stop()


async def test_neither_is_an_error_of_the_record(reader: ImageReader) -> None:
    with pytest.raises(ImageUnreadable, match="neither `_base64` nor `_url`"):
        await reader.read(image_px=224)


async def test_each_failure_has_its_code(reader: ImageReader) -> None:
    web = await Web().start()
    web.pages["/page"] = answer(b"<html>not a picture</html>")
    for url, code in (
        (web.url("/page", host="127.0.0.1"), 422),
        (web.url("/missing", host="127.0.0.1"), 410),
        ("http://localhost:9/", 504),
        ("ftp://127.0.0.1/", 422),
    ):
        with pytest.raises(ImageError) as caught:
            await reader.read(url=url, image_px=224)
        assert (caught.value.code, caught.value.retry) == (code, code == 504)
    await web.stop()


async def test_the_limits_are_those_of_the_settings() -> None:
    reader = ImageReader(ImageSettings(max_bytes=len(PNG) - 1))
    with pytest.raises(ImageTooLarge, match="bytes"):
        await reader.read(base64=TEXT, image_px=224)
    await reader.close()
    reader = ImageReader(ImageSettings(max_pixels=96 * 64 - 1))
    with pytest.raises(ImageTooLarge, match="pixels"):
        await reader.read(base64=TEXT, image_px=224)
    await reader.close()


async def test_decoding_is_limited_in_time_and_off_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, gate = threading.Event(), threading.Event()

    def held(*_: Any, **__: Any) -> None:
        begun.set()
        gate.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(reader_module, "decode_image", held)
    reader = ImageReader(ImageSettings(decode_timeout_s=0.1))
    reading = asyncio.create_task(reader.read(base64=TEXT, image_px=224))
    await until(begun.is_set, "the event loop goes on while an image is decoded")
    with pytest.raises(ImageTooLarge, match=r"0\.1 s"):
        await reading
    gate.set()
    await reader.close()


async def test_waiting_for_others_does_not_count_as_decoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slow(*_: Any, **__: Any) -> None:
        time.sleep(0.1)

    monkeypatch.setattr(reader_module, "decode_image", slow)
    reader = ImageReader(ImageSettings(decode_timeout_s=1.5, decode_threads=1))
    waiting = [asyncio.create_task(reader.read(base64=TEXT, image_px=224)) for _ in range(20)]
    waiting.pop().cancel()
    await asyncio.gather(*waiting)
    await reader.close()


async def test_a_batch_is_read_together(reader: ImageReader, interiors: dict[str, bytes]) -> None:
    texts = [base64.b64encode(data).decode() for data in interiors.values()]
    texts.insert(3, "nonsense")
    answers = await asyncio.gather(
        *(reader.read(base64=text, image_px=224) for text in texts), return_exceptions=True
    )
    assert isinstance(answers[3], ImageUnreadable)
    assert sum(isinstance(answer, BaseException) for answer in answers) == 1


async def test_a_search_does_not_wait_behind_an_import(
    reader: ImageReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While every thread of the import is busy, and more wait, a search's image is decoded."""
    gate, busy = threading.Event(), threading.Event()

    def held(data: bytes, **options: Any) -> Any:
        if threading.current_thread().name.startswith("decode_"):
            busy.set()
            gate.wait(PATIENCE_SECONDS)
        return decode_image(data, **options)

    monkeypatch.setattr(reader_module, "decode_image", held)
    bulk = [asyncio.create_task(reader.read(base64=TEXT, image_px=32)) for _ in range(20)]
    await until(busy.is_set, "the import is at work")
    assert (await reader.read(base64=TEXT, image_px=32, query=True)).image.mode == "RGB"
    assert not any(task.done() for task in bulk)
    gate.set()
    assert len(await asyncio.gather(*bulk)) == 20


async def test_a_search_by_url_does_not_wait_behind_an_import(reader: ImageReader) -> None:
    """While the import waits for a server that does not answer, on every connection it may have."""
    web, asked, done = await Web().start(), asyncio.Event(), asyncio.Event()

    async def never(_: Any) -> None:
        asked.set()
        await done.wait()

    web.pages |= {"/photo": answer(PNG), "/never": never}
    hanging, good = web.url("/never", host="127.0.0.1"), web.url(host="127.0.0.1")
    bulk = [asyncio.create_task(reader.read(url=hanging, image_px=32)) for _ in range(40)]
    await asked.wait()
    async with asyncio.timeout(PATIENCE_SECONDS / 2):
        assert (await reader.read(url=good, image_px=32, query=True)).image.mode == "RGB"
    assert not any(task.done() for task in bulk)
    done.set()
    for task in bulk:
        task.cancel()
    await asyncio.gather(*bulk, return_exceptions=True)
    await web.stop()


def test_every_setting_says_what_it_is() -> None:
    lines = Path(image_settings.__file__).read_text().splitlines()
    fields = ImageSettings.__struct_fields__
    documented = [
        line.split(":")[0].strip()
        for line, below in itertools.pairwise(lines)
        if line.startswith("    ") and ": " in line and below.strip().startswith('"""')
    ]
    assert documented == list(fields)
    assert ImageNotFetched.code == 504
