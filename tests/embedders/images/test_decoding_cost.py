"""What decoding takes is known before it, bounded, and at nobody else's expense."""

from __future__ import annotations

import asyncio
import base64
import io
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.images.decoding_cost import cost_of
from lookalike.embedders.images.image_errors import ImageTooCostly, ImageTooLarge
from lookalike.embedders.images.image_settings import ImageSettings
from lookalike.embedders.images.reader import SMALL_BYTES, ImageReader
from tests.waiting import PATIENCE_SECONDS

SIDE, IMAGE_PX = 3_000, 224
PEAK = r"""
import re, sys
from pathlib import Path
from lookalike.embedders.images.decoding import decode_image
data = Path(sys.argv[1]).read_bytes()
def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
Path("/proc/self/clear_refs").write_text("5")  # The peak begins anew.
before = peak()
decode_image(data, max_pixels=64_000_000, image_px=224, max_bytes=10**10)
print(peak() - before)
"""


def noise() -> Image.Image:
    random = np.random.default_rng(1)
    small = Image.fromarray(random.integers(0, 255, (300, 300, 3), dtype=np.uint8))
    return small.resize((SIDE, SIDE))


def half_transparent() -> Image.Image:
    image = noise().convert("RGBA")
    image.putalpha(128)
    return image


def kinds() -> dict[str, tuple[Image.Image, dict[str, Any]]]:
    rgb, rgba = noise(), half_transparent()
    numbers = Image.fromarray(np.zeros((SIDE, SIDE), dtype=np.float32))
    deep = Image.fromarray(np.zeros((SIDE, SIDE), dtype=np.uint16))
    return {
        "JPEG": (rgb, {"format": "JPEG"}),
        "progressive JPEG": (rgb, {"format": "JPEG", "progressive": True, "subsampling": 0}),
        "PNG": (rgb, {"format": "PNG", "compress_level": 1}),
        "PNG with transparency": (rgba, {"format": "PNG", "compress_level": 1}),
        "grey PNG": (rgb.convert("L"), {"format": "PNG", "compress_level": 1}),
        "PNG of 16 bits": (deep, {"format": "PNG"}),
        "palette": (rgb.convert("P"), {"format": "PNG"}),
        "GIF": (rgb.convert("P"), {"format": "GIF"}),
        "BMP": (rgb, {"format": "BMP"}),
        "TIFF": (rgb, {"format": "TIFF"}),
        "TIFF of numbers": (numbers, {"format": "TIFF"}),
        "WEBP": (rgb, {"format": "WEBP", "method": 0}),
        "WEBP with transparency": (rgba, {"format": "WEBP", "method": 0}),
        "AVIF": (rgb, {"format": "AVIF", "speed": 10}),
        "HEIF": (rgb, {"format": "HEIF", "quality": 30}),
        "JPEG2000": (rgb, {"format": "JPEG2000", "quality_mode": "rates", "quality_layers": [50]}),
    }


KINDS = sorted(kinds())


def written(image: Image.Image, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_the_header_tells_what_decoding_takes(kind: str, tmp_path: Any) -> None:
    """No less than it takes, and not so much more that good images are refused."""
    data = written(*kinds()[kind])
    file = tmp_path / "image"
    file.write_bytes(data)
    command = [sys.executable, "-c", PEAK, str(file)]
    taken = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    needed = cost_of(data, IMAGE_PX)
    assert taken < 1.1 * needed + 8_000_000
    assert needed < 2.0 * taken + 30_000_000


@pytest.mark.parametrize(
    ("kind", "size"), [("WEBP", (8_000, 8_000)), ("PNG", (65_535, 900)), ("TIFF", (40, 65_535))]
)
def test_few_bytes_that_would_take_much_are_refused(kind: str, size: tuple[int, int]) -> None:
    mode = "F" if kind == "TIFF" else "RGBA"
    data = written(Image.new(mode, size, 7), {"format": kind})
    with pytest.raises(ImageTooCostly, match="MB of memory"):
        decode_image(data, max_pixels=64_000_000, image_px=IMAGE_PX, max_bytes=40_000_000)
    assert cost_of(data, IMAGE_PX) > 40_000_000


@pytest.mark.parametrize("size", [(1, 70_000), (70_000, 1)])
def test_a_side_that_no_picture_has_is_refused(size: tuple[int, int]) -> None:
    data = written(Image.new("L", size), {"format": "PNG"})
    with pytest.raises(ImageTooLarge, match="65535"):
        decode_image(data, max_pixels=64_000_000, image_px=IMAGE_PX)


def test_photos_of_phones_and_scanners_are_read() -> None:
    """By the default limits; without pixels, for only the header counts here."""
    for kind, options, size in (
        ("JPEG", {}, (9_000, 7_000)),
        ("JPEG", {"progressive": True}, (8_000, 6_000)),
        ("PNG", {}, (8_000, 6_000)),
        ("WEBP", {}, (5_000, 3_800)),
    ):
        data = written(Image.new("RGB", size), {"format": kind, **options})
        assert 0 < cost_of(data, IMAGE_PX) < 400_000_000, (kind, size)


async def test_a_small_image_does_not_wait_for_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ImageReader(ImageSettings())
    gate, busy = threading.Event(), threading.Event()
    decode = reader._isolated_large.decode

    def held(*args: Any, **options: Any) -> Image.Image:
        busy.set()
        gate.wait(PATIENCE_SECONDS)
        return decode(*args, **options)

    monkeypatch.setattr(reader._isolated_large, "decode", held)
    large = base64.b64encode(written(Image.new("RGB", (2_500, 2_500), "red"), {"format": "WEBP"}))
    small = base64.b64encode(written(Image.new("RGB", (60, 60), "blue"), {"format": "AVIF"}))

    async def read(data: bytes, *, query: bool = False) -> Image.Image:
        return (await reader.read(base64=data.decode(), image_px=IMAGE_PX, query=query)).image

    waiting = [asyncio.create_task(read(large)) for _ in range(8)]
    assert await asyncio.to_thread(busy.wait, PATIENCE_SECONDS)
    for query in (False, True):
        assert (await read(small, query=query)).size == (60, 60)
    assert not any(task.done() for task in waiting)
    gate.set()
    for image in await asyncio.gather(*waiting):
        assert image.size == (625, 625)
        assert image.getpixel((300, 300)) == pytest.approx((254, 0, 0), abs=3)
    await reader.close()


async def test_a_costly_image_is_refused_wherever_it_would_be_decoded() -> None:
    reader = ImageReader(ImageSettings(decoding_memory_mb=64))
    for kind, side in (("WEBP", 3_000), ("WEBP", 8_000), ("AVIF", 3_000), ("PNG", 3_000)):
        data = written(Image.new("RGBA", (side, side), "red"), {"format": kind})
        assert len(data) < 300_000
        with pytest.raises(ImageTooCostly, match="64 MB are allowed"):
            await reader.read(base64=base64.b64encode(data).decode(), image_px=IMAGE_PX)
    assert SMALL_BYTES == 64_000_000
    await reader.close()
