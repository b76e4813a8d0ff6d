"""Generated images, and their bytes in every format."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def gradient(width: int = 96, height: int = 64) -> Image.Image:
    """Red grows to the right, green downwards, blue is even: no symmetry hides a wrong turn."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width).astype(np.uint8)[None, :]
    pixels[..., 1] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    pixels[..., 2] = 90
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def in_format(kind: str, image: Image.Image | None = None) -> bytes:
    """As close to the original as the format can keep it."""
    exact: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 95, "subsampling": "4:4:4"},
        "HEIF": {"quality": 95, "chroma": 444},
        "ICO": {"sizes": [(image or gradient()).size]},
    }
    return encoded(image or gradient(), kind, **exact.get(kind, {}))


def difference(image: Image.Image, other: Image.Image) -> float:
    """The mean difference of two images of one size, in grey levels of 255."""
    assert image.size == other.size
    a, b = (np.asarray(one.convert("RGB"), np.float64) for one in (image, other))
    return float(np.abs(a - b).mean())


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width: int, height: int, *more: bytes) -> bytes:
    """A PNG that claims a size and brings almost no data; `more` chunks go before the data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            png_chunk(b"IHDR", header),
            *more,
            png_chunk(b"IDAT", zlib.compress(b"\x00" * 4096)),
            png_chunk(b"IEND", b""),
        )
    )


def jpeg_of_many_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated; each costs a pass over the image."""
    data = encoded(gradient(640, 480), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def gif_with_large_frame(width: int, height: int) -> bytes:
    """A GIF whose screen is 1 x 1 and whose only frame is as large as asked."""
    screen = struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0)
    return b"GIF89a" + screen + frame + b"\x02\x02\x4c\x01\x00;"


def noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png_in_icon(png: bytes) -> bytes:
    """An icon whose only image is a PNG, of 16 x 16 pixels as the icon says."""
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(png), 22)
    return b"\0\0\1\0\1\0" + entry + png


def bitmap_in_icon(width: int, height: int) -> bytes:
    """An icon whose only image is a bitmap without pixels, of 16 x 16 pixels as the icon says."""
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 32, 0, 0, 0, 0, 0, 0)
    return png_in_icon(bitmap)
