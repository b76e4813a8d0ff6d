"""Drawings on transparency keep their shape, whatever their colour and however they are stored."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from lookalike.cli.demo_images import DemoImage
from lookalike.embedders.colors import Colors
from lookalike.embedders.images.crop import Box
from lookalike.embedders.images.decoding import decode_image
from lookalike.embedders.images.image_errors import ImageUnreadable
from lookalike.embedders.lite0 import Lite0
from lookalike.embedders.phash import PerceptualHash

from .images import difference, encoded, gradient, png_chunk

WHITE, BLACK, GREY = (255, 255, 255), (0, 0, 0), (128, 128, 128)


def read(data: bytes, crop: Box | None = None) -> Image.Image:
    return decode_image(data, max_pixels=64_000_000, image_px=224, crop=crop)


def corner(image: Image.Image) -> tuple[int, ...]:
    return tuple(int(value) for value in np.asarray(image)[0, 0])


def disc(draw: ImageDraw.ImageDraw, fill: tuple[int, ...]) -> None:
    draw.ellipse((60, 60, 240, 240), fill=fill)


def ring(draw: ImageDraw.ImageDraw, fill: tuple[int, ...]) -> None:
    draw.ellipse((60, 60, 240, 240), outline=fill, width=6)


def bars(draw: ImageDraw.ImageDraw, fill: tuple[int, ...]) -> None:
    for left in range(40, 260, 40):
        draw.rectangle((left, 100, left + 15, 200), fill=fill)


def triangle(draw: ImageDraw.ImageDraw, fill: tuple[int, ...]) -> None:
    draw.polygon([(150, 40), (260, 250), (40, 250)], fill=fill)


SHAPES = (disc, ring, bars, triangle)
Shape = Callable[[ImageDraw.ImageDraw, tuple[int, ...]], None]


def logo(shape: Shape, color: tuple[int, ...], opacity: int = 255) -> Image.Image:
    image = Image.new("RGBA", (300, 300))
    shape(ImageDraw.Draw(image), (*color, opacity))
    return image


def test_four_white_logos_are_four_images(network: Lite0) -> None:
    images = [read(encoded(logo(shape, WHITE), "PNG")) for shape in SHAPES]
    vectors = network.embed_images(images)
    hashes = PerceptualHash().embed_images(images)
    for one, other in itertools.combinations(range(4), 2):
        assert 1 - float(vectors[one] @ vectors[other]) > 0.1
        assert np.abs(hashes[one] - hashes[other]).sum() > 8


@pytest.mark.parametrize(
    ("color", "ground"),
    [
        (BLACK, WHITE), ((20, 160, 60), WHITE), ((0, 0, 255), WHITE), ((255, 230, 0), WHITE),
        (GREY, WHITE), ((190, 190, 190), WHITE), (WHITE, BLACK), ((245, 245, 250), BLACK),
        ((255, 240, 235), BLACK),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", SHAPES)
def test_white_is_the_ground_unless_the_drawing_is_lost_on_it(
    shape: Shape, color: tuple[int, ...], ground: tuple[int, ...]
) -> None:
    image = read(encoded(logo(shape, color), "PNG"))
    assert corner(image) == ground
    assert np.abs(np.asarray(image).astype(int) - ground).max() > 60


def test_a_drawing_half_black_and_half_white_is_seen_whole() -> None:
    image = logo(disc, BLACK)
    image.paste((*WHITE, 255), (150, 0, 300, 300), image.crop((150, 0, 300, 300)).getchannel("A"))
    assert corner(read(encoded(image, "PNG"))) == GREY


def test_what_is_drawn_inside_is_seen_on_white_as_before() -> None:
    """A white label with a dark text, a photo with round corners: white keeps what matters."""
    label = logo(disc, WHITE)
    ImageDraw.Draw(label).text((80, 100), "LABEL", fill=(*BLACK, 255), font_size=48)
    ImageDraw.Draw(label).text((80, 150), "LABEL", fill=(*BLACK, 255), font_size=48)
    assert corner(read(encoded(label, "PNG"))) == WHITE
    photo = gradient(300, 300).convert("RGBA")
    mask = Image.new("L", photo.size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 299, 299), 40, fill=255)
    photo.putalpha(mask)
    assert corner(read(encoded(photo, "PNG"))) == WHITE


def test_cut_out_photos_of_products_stay_on_white(products: list[DemoImage]) -> None:
    """White shoes and glasses among them: other views of them are on white too."""
    for product in products:
        assert corner(read(product.image)) not in (BLACK, GREY), product.record()["_id"]


def test_a_white_glow_without_edges_is_seen() -> None:
    glow = Image.new("RGBA", (300, 300), (*WHITE, 0))
    glow.putalpha(logo(disc, WHITE).getchannel("A").filter(ImageFilter.GaussianBlur(40)))
    image = read(encoded(glow, "PNG"))
    assert corner(image)[0] < 30
    assert np.asarray(image).max() > 200


def test_half_transparent_is_half_ground() -> None:
    image = Image.new("RGBA", (32, 32), (100, 0, 0, 128))
    assert np.abs(np.asarray(read(encoded(image, "PNG")))[0, 0] - [177, 127, 127]).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF", "JPEG2000", "ICO", "GIF"])
def test_every_format_with_transparency(kind: str) -> None:
    for color, ground in ((WHITE, 0), (BLACK, 255)):
        image = logo(disc, color).resize((256, 256))
        options = {"sizes": [image.size]} if kind == "ICO" else {}
        values = np.asarray(read(encoded(image, kind, **options)))
        assert np.abs(values[0, 0].astype(int) - ground).max() <= 3
        assert np.abs(values[128, 128].astype(int) - (255 - ground)).max() <= 3


def test_every_mode_with_transparency() -> None:
    white = logo(disc, WHITE)
    for image in (white, white.convert("LA"), white.quantize(8)):
        assert corner(read(encoded(image, "PNG"))) == BLACK, image.mode
    key = Image.new("RGB", (300, 300), (255, 0, 255))
    disc(ImageDraw.Draw(key), WHITE)
    assert corner(read(encoded(key, "PNG", transparency=(255, 0, 255)))) == BLACK
    grey = key.convert("L").point([255 if value == 255 else 7 for value in range(256)])
    assert corner(read(encoded(grey, "PNG", transparency=7))) == BLACK


def png(depth: int, color_type: int, row: bytes, key: bytes = b"", rows: int = 32) -> bytes:
    width = len(row) * 8 // (depth * {0: 1, 2: 3, 4: 2, 6: 4}[color_type])
    header = struct.pack(">IIBBBBB", width, rows, depth, color_type, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", header), png_chunk(b"tRNS", key) if key else b""]
    data = zlib.compress((b"\0" + row) * rows)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [*chunks, png_chunk(b"IDAT", data), png_chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize(
    "data",
    [
        png(16, 6, struct.pack(">4H", 9, 9, 9, 0) * 16 + struct.pack(">4H", *4 * [65535]) * 16),
        png(16, 4, struct.pack(">2H", 9, 0) * 16 + struct.pack(">2H", 65535, 65535) * 16),
        png(16, 0, struct.pack(">H", 1000) * 16 + b"\xff" * 32, struct.pack(">H", 1000)),
        png(
            16, 2, struct.pack(">3H", 300, 0, 0) * 16 + b"\xff" * 96, struct.pack(">3H", 300, 0, 0)
        ),
        png(4, 0, b"\x11" * 8 + b"\xff" * 8, struct.pack(">H", 1)),
        png(2, 0, b"\x55" * 4 + b"\xff" * 4, struct.pack(">H", 1)),
        png(1, 0, b"\0\0\xff\xff", struct.pack(">H", 0)),
    ],
    ids=["RGBA 16", "LA 16", "L 16", "RGB 16", "L 4", "L 2", "1"],
)
def test_transparency_of_every_depth(data: bytes) -> None:
    """Left nothing, right white."""
    values = np.asarray(read(data))
    assert values[:, :14].max() == 0
    assert values[:, 18:].min() == 255


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF", "JPEG2000", "GIF"])
@pytest.mark.parametrize("color", [WHITE, BLACK, (20, 160, 60)])
def test_nothing_to_see_is_refused(kind: str, color: tuple[int, ...]) -> None:
    for opacity in (0, 1):
        image = Image.new("RGBA", (64, 64), (*color, opacity))
        if kind == "GIF":
            image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
        with pytest.raises(ImageUnreadable, match="empty"):
            read(encoded(image, kind))


def test_the_part_that_is_wanted_decides() -> None:
    image = Image.new("RGBA", (600, 300))
    image.paste(logo(disc, WHITE), (0, 0))
    image.paste(logo(disc, BLACK), (300, 0))
    data = encoded(image, "PNG")
    assert corner(read(data, Box(0, 0, 0.5, 1))) == BLACK
    assert corner(read(data, Box(0.5, 0, 1, 1))) == WHITE
    with pytest.raises(ImageUnreadable, match="empty"):
        read(data, Box(0, 0, 40, 40))


def test_a_drawing_has_its_colour_on_either_ground() -> None:
    for color in ((0x14, 0xA0, 0x3C), WHITE):
        plain, drawing = Image.new("RGB", (64, 64), color), Image.new("RGBA", (300, 300))
        drawing.paste((*color, 255), (20, 20, 280, 280))
        drawn, flat = Colors().embed_images([read(encoded(drawing, "PNG")), plain])
        assert float(drawn @ flat) > 0.99


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1), (60, 9000)])
def test_strips_have_a_ground(size: tuple[int, int]) -> None:
    image = Image.new("RGBA", size, (*WHITE, 0))
    image.paste((*WHITE, 255), (0, 0, (size[0] + 1) // 2, (size[1] + 1) // 2))
    assert np.asarray(read(encoded(image, "PNG"))).max() == 255


def test_opaque_images_with_an_alpha_channel_stay_as_they_are() -> None:
    image = gradient().convert("RGBA")
    assert difference(read(encoded(image, "PNG")), gradient()) == 0
