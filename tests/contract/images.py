"""Real product images in the forms in which clients send them."""

from __future__ import annotations

import base64
import io
import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from PIL import Image

from lookalike.cli.demo_images import DemoImage

Record = dict[str, Any]

MEBIBYTE = 1024 * 1024


def jpeg(data: bytes, side_px: int = 224, quality: int = 85) -> bytes:
    """A smaller copy, as a shop's thumbnail server makes it."""
    image = opened(data)
    image.thumbnail((side_px, side_px))
    return encoded(image, "JPEG", quality=quality)


def altered(data: bytes) -> bytes:
    """What comes back from the web: cropped by a tenth, made smaller, compressed hard."""
    image = opened(data)
    width, height = image.size
    image = image.crop((width // 20, height // 10, width - width // 20, height))
    image.thumbnail((400, 400))
    return encoded(image, "JPEG", quality=35)


def opened(data: bytes) -> Image.Image:
    """RGB, on white where it is transparent."""
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def image_of(pattern: int, side_px: int = 96, quality: int = 0) -> str:
    """Blocks of grey, different for each pattern; as JPEG where a quality is given."""
    image = Image.new("L", (8, 8))
    image.putdata([(pattern * 7919 * (i + 1) ** 2 // 31) % 256 for i in range(64)])
    image = image.resize((side_px, side_px), Image.Resampling.BICUBIC).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality) if quality else image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def bomb(side_px: int = 30_000) -> bytes:
    """A PNG of a hundred kilobytes that would take 900 million pixels."""
    rows = zlib.compress(bytes(side_px * (side_px // 8 + 1)), 9)
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def record(product: DemoImage, image: bytes | None = None, **fields: Any) -> Record:
    """A record to insert: the product's own fields, and a small copy of it unless one is given."""
    data = jpeg(product.image) if image is None else image
    return product.record() | {"_base64": base64_of(data)} | fields


def batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    records = iter(records)
    while batch := list(itertools.islice(records, size)):
        yield batch
