"""Files whose cost nothing in them tells end at a limit; the next image is decoded as ever."""

from __future__ import annotations

import base64
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from lookalike.embedders.images.crop import Box
from lookalike.embedders.images.image_errors import ImageTooLarge, ImageUnreadable
from lookalike.embedders.images.image_settings import ImageSettings
from lookalike.embedders.images.isolation import IsolatedDecoder
from lookalike.embedders.images.reader import ImageReader

from .bombs import claiming, grid_of_one_tile
from .images import difference, encoded, gradient, in_format

ISOLATED = ("HEIF", "AVIF", "JPEG2000")
LIMIT = 64_000_000


@pytest.fixture
def decoders() -> Iterator[Callable[..., IsolatedDecoder]]:
    made = []

    def make(cpu_s: float = 30.0, **options: int) -> IsolatedDecoder:
        made.append(IsolatedDecoder(cpu_s, **options))
        return made[-1]

    yield make
    for decoder in made:
        decoder.close()


def decode(decoder: IsolatedDecoder, data: bytes, crop: Box | None = None) -> Image.Image:
    return decoder.decode(data, max_pixels=LIMIT, image_px=224, crop=crop)


def processes_of(decoder: IsolatedDecoder) -> list[int]:
    return [process.pid for process in decoder._idle]


def test_one_process_decodes_one_image_after_the_other(
    decoders: Callable[..., IsolatedDecoder],
) -> None:
    decoder = decoders()
    for kind in ISOLATED:
        assert difference(decode(decoder, in_format(kind)), gradient()) < 2
    half = decode(decoder, in_format("HEIF"), Box(0.5, 0, 1, 1))
    assert difference(half, gradient().crop((48, 0, 96, 64))) < 2
    assert len(processes_of(decoder)) == 1
    with pytest.raises(ImageUnreadable, match="damaged"):
        decode(decoder, in_format("HEIF")[:300])
    with pytest.raises(ImageTooLarge, match=f"{LIMIT} pixels"):
        decode(decoder, claiming(in_format("JPEG2000"), 9_000, 9_000))
    assert len(processes_of(decoder)) == 1


def test_images_of_several_threads_do_not_wait_for_each_other(
    decoders: Callable[..., IsolatedDecoder],
) -> None:
    decoder, data = decoders(), in_format("AVIF")
    with ThreadPoolExecutor(2) as threads:
        images = list(threads.map(lambda _: decode(decoder, data), range(12)))
    assert all(difference(image, gradient()) < 2 for image in images)
    assert 1 <= len(processes_of(decoder)) <= 2


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_a_grid_of_tiles_is_one_image(kind: str, decoders: Callable[..., IsolatedDecoder]) -> None:
    tile = encoded(Image.new("RGB", (64, 64), "teal"), kind)
    image = decode(decoders(), grid_of_one_tile(tile, 64, 3, 2))
    assert image.size == (192, 128)
    assert difference(image, Image.new("RGB", (192, 128), "teal")) < 3


def test_tiles_that_are_larger_than_they_say_end_at_a_limit(
    decoders: Callable[..., IsolatedDecoder],
) -> None:
    """20 kB of AVIF that claim 1280 x 1280 pixels, and cost minutes: 400 tiles of 4 Mpx."""
    tile = encoded(Image.new("RGB", (2_000, 2_000), "teal"), "AVIF", speed=10)
    bomb = grid_of_one_tile(tile, 64, 20, 20)
    assert len(bomb) < 25_000
    decoder = decoders(1.0)
    start = time.monotonic()
    with pytest.raises(ImageTooLarge, match="within 1 s of CPU time"):
        decode(decoder, bomb)
    assert time.monotonic() - start < 60  # of CPU time it was one, on however busy a machine
    assert processes_of(decoder) == []
    assert difference(decode(decoder, in_format("AVIF")), gradient()) < 2


def test_a_heif_of_larger_tiles_is_refused(decoders: Callable[..., IsolatedDecoder]) -> None:
    tile = encoded(Image.new("RGB", (1_000, 1_000), "teal"), "HEIF", quality=5)
    decoder = decoders(5.0)
    for data in (claiming(tile, 64, 64), grid_of_one_tile(tile, 64, 20, 20)):
        with pytest.raises(ImageUnreadable):
            decode(decoder, data)


def test_a_jpeg_2000_of_more_pixels_is_refused(decoders: Callable[..., IsolatedDecoder]) -> None:
    data = encoded(Image.new("RGB", (1_000, 1_000), "teal"), "JPEG2000")
    with pytest.raises(ImageUnreadable):
        decode(decoders(), claiming(data, 64, 64))


@pytest.mark.parametrize("kind", ISOLATED)
def test_memory_is_limited(kind: str, decoders: Callable[..., IsolatedDecoder]) -> None:
    decoder = decoders(memory_bytes=16 * 1024 * 1024)
    large = encoded(Image.new("RGB", (2_000, 2_000), "teal"), kind)
    with pytest.raises(ImageUnreadable):
        decode(decoder, large)
    assert difference(decode(decoder, in_format(kind)), gradient()) < 2
    assert decode(decoders(), large).size == (500, 500)


def test_a_process_that_is_gone_is_replaced(decoders: Callable[..., IsolatedDecoder]) -> None:
    decoder = decoders()
    decode(decoder, in_format("HEIF"))
    (process,) = decoder._idle
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert difference(decode(decoder, in_format("HEIF")), gradient()) < 2


def test_a_process_that_does_not_start_is_no_fault_of_the_image(
    monkeypatch: pytest.MonkeyPatch, decoders: Callable[..., IsolatedDecoder]
) -> None:
    monkeypatch.setattr(IsolatedDecoder, "PROCESS_MODULE", "lookalike.nothing")
    with pytest.raises(RuntimeError, match="ended with 1"):
        decode(decoders(), in_format("HEIF"))


async def test_the_reader_isolates_them_and_ends_the_processes() -> None:
    reader = ImageReader(ImageSettings(decode_timeout_s=20.0))
    for kind in (*ISOLATED, "PNG"):
        text = base64.b64encode(in_format(kind)).decode()
        read = await reader.read(base64=text, image_px=224)
        assert difference(read.image, gradient()) < 2
    (process,) = reader._isolated._idle
    await reader.close()
    assert process.poll() == 0
