"""Any bytes -> an RGB image of bounded size, or one of two errors. Nothing else, ever."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.embedders.images.decoding import MAX_JPEG_SCANS, decode_image
from lookalike.embedders.images.formats import FORMATS
from lookalike.embedders.images.image_errors import ImageTooLarge, ImageUnreadable

from .bombs import claiming
from .images import (
    bitmap_in_icon,
    difference,
    encoded,
    gif_with_large_frame,
    gradient,
    in_format,
    jpeg_of_many_scans,
    noise,
    png_chunk,
    png_in_icon,
    png_of_size,
)

# As in the service, where importing `decode_image` silences them; pytest resets that for each test.
pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")

LIMIT = 64_000_000


def read(data: bytes, image_px: int = 224, max_pixels: int = LIMIT) -> Image.Image:
    return decode_image(data, max_pixels=max_pixels, image_px=image_px)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_image_back(kind: str) -> None:
    image = read(in_format(kind))
    assert image.mode == "RGB"
    # GIF has 256 colours, those made for photos lose a little; the others are exact.
    lost = {"GIF": 12, "JPEG": 2, "AVIF": 2, "HEIF": 2}
    assert difference(image, gradient()) <= lost.get(kind, 0)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("1", "PNG"), ("L", "PNG"), ("L", "JPEG"), ("LA", "PNG"), ("P", "PNG"), ("RGBA", "PNG"),
        ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("YCbCr", "TIFF"),
        ("P", "BMP"), ("I;16", "PNG"), ("I;16", "TIFF"), ("I", "TIFF"), ("F", "TIFF"),
    ],
)  # fmt: skip
def test_every_mode_becomes_rgb(mode: str, kind: str) -> None:
    grey = np.asarray(gradient().convert("L"))
    if mode == "I;16":
        image, wanted = Image.fromarray(grey.astype(np.uint16) * 257), Image.fromarray(grey)
    elif mode in ("I", "F"):
        # No range is known: the least becomes black and the greatest white.
        image = Image.fromarray(grey.astype(np.int32 if mode == "I" else np.float32) * 3 - 100)
        low, high = int(grey.min()), int(grey.max())
        wanted = Image.fromarray(((grey.astype(float) - low) * 255 / (high - low)).astype(np.uint8))
    else:
        image = gradient().convert(mode)
        wanted = image.convert("RGB")
    assert image.mode == mode
    result = read(in_format(kind, image))
    assert result.mode == "RGB"
    assert difference(result, wanted) <= (2 if kind == "JPEG" else 1)


def test_the_adobe_inversion_of_cmyk_jpegs_is_undone() -> None:
    result = read(encoded(Image.new("CMYK", (64, 64), (0, 0, 0, 0)), "JPEG"))
    assert np.asarray(result).min() > 250


def test_half_transparent_is_half_white() -> None:
    image = Image.new("RGBA", (32, 32), (100, 0, 0, 128))
    assert np.abs(np.asarray(read(encoded(image, "PNG")))[0, 0] - [177, 127, 127]).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)  # fmt: skip
    # So large that a JPEG goes through draft mode; others would only take longer.
    upright = gradient(1200, 900) if kind == "JPEG" else gradient(400, 300)
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = read(encoded(stored, kind, exif=exif.tobytes()), image_px=100)
    assert result.width > result.height
    assert difference(result, upright.resize(result.size)) < 3


def test_damaged_exif_does_not_damage_the_image() -> None:
    for exif in (b"Exif\x00\x00MM\x00*\xff\xff\xff\xff", b"Exif\x00\x00" + b"\xff" * 40):
        assert read(encoded(gradient(), "JPEG", exif=exif)).size == (96, 64)


@pytest.mark.parametrize("kind", sorted(FORMATS.keys() - {"ICO", "HEIF"}))  # too slow to encode
@pytest.mark.parametrize("size", [(449, 700), (896, 900), (1791, 1800), (3600, 1900), (30, 2000)])
def test_a_image_waits_no_larger_than_its_model_needs(kind: str, size: tuple[int, int]) -> None:
    short = min(read(in_format(kind, Image.new("RGB", size, "teal"))).size)
    if min(size) < 448:
        assert short == min(size)
    else:
        assert 448 <= short <= 2 * 448


def test_shrinking_keeps_the_image(interiors: dict[str, bytes]) -> None:
    """JPEG shrinks inside its decoder, PNG after it: the model must see the same."""
    room = next(iter(interiors.values()))
    with Image.open(io.BytesIO(room)) as image:
        full = image.convert("RGB")
    small = [read(data, 64) for data in (room, encoded(full, "PNG"))]
    assert small[0].size == small[1].size
    assert difference(small[0], small[1]) < 3
    assert difference(small[1], full.resize(small[1].size, Image.Resampling.BOX)) < 1


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None, :].repeat(8, axis=0)
    values = np.asarray(read(encoded(Image.fromarray(ramp), "PNG")))[0, :, 0]
    assert values.min() == 0
    assert values.max() == 255
    assert np.all(np.diff(values.astype(int)) >= 0)
    assert len(set(values.tolist())) > 200


def test_numbers_without_a_meaning_are_no_trouble() -> None:
    odd = np.full((32, 32), np.nan, np.float32)
    odd[0, :4] = np.inf, -np.inf, 3e38, -3e38
    for values in (odd, np.full((32, 32), np.nan, np.float32), np.zeros((32, 32), np.float32)):
        assert read(encoded(Image.fromarray(values), "TIFF")).mode == "RGB"


def test_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert np.asarray(read(data))[0, 0].tolist()[0] > 245, kind
        assert np.asarray(read(data))[0, 0].tolist()[2] < 10, kind


def test_a_jpeg_with_several_images_is_a_jpeg() -> None:
    data = encoded(gradient(), "MPO", save_all=True, append_images=[Image.new("RGB", (96, 64))])
    assert difference(read(data), gradient()) < 5


def test_one_pixel_and_long_strips_are_images() -> None:
    for size in ((1, 1), (1, 5000), (5000, 1)):
        assert read(in_format("PNG", Image.new("RGB", size, "red"))).size == size


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_cut_short_is_refused(kind: str) -> None:
    data = in_format(kind, Image.fromarray(noise(250, 200)))
    for share in (0.02, 0.3, 0.6, 0.9):
        with pytest.raises(ImageUnreadable):
            read(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00", b"not a picture", b"<html><body>404</body></html>", b"%PDF-1.7\n%...",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage", b"P6 1 1 255 abc",
        b"\x00\x00\x01\x00\x01\x00", b"II*\x00", b"\xff\xd8\xff", b"GIF89a", b"BM", b"RIFF\x00\x00",
        b"\x89PNG\r\n\x1a\n",
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        read(data)


@pytest.mark.parametrize("kind", ["PPM", "TGA", "PCX", "SGI", "PDF"])
def test_other_formats_of_pillow_stay_closed(kind: str) -> None:
    with pytest.raises(ImageUnreadable, match="known format"):
        read(encoded(gradient(), kind))


class TestBombs:
    """A few bytes that would cost gigabytes or hours: refused before they are decoded."""

    def test_the_limit_is_exact(self) -> None:
        data = in_format("PNG", Image.new("L", (100, 100)))
        assert read(data, max_pixels=10_000)
        with pytest.raises(ImageTooLarge, match="9999 pixels"):
            read(data, max_pixels=9_999)

    @pytest.mark.parametrize(
        "data",
        [
            png_of_size(60_000, 60_000),
            png_of_size(2**31 - 1, 2**31 - 1),
            png_of_size(9_000, 9_000),
            gif_with_large_frame(65_535, 65_535),
            gif_with_large_frame(9_000, 9_000),
            png_in_icon(png_of_size(9_000, 9_000)),
            bitmap_in_icon(40_000, 80_000),
            claiming(in_format("HEIF"), 9_000, 9_000),
            claiming(in_format("HEIF"), 60_000, 60_000),
            claiming(in_format("AVIF"), 9_000, 9_000),
            claiming(in_format("JPEG2000"), 9_000, 9_000),
            claiming(in_format("JPEG2000"), 2**31 - 1, 2**31 - 1),
            in_format("BMP")[:18] + struct.pack("<ii", 40_000, 40_000) + in_format("BMP")[26:],
        ],
        ids=[
            *("png 3.6 G", "png 2^62", "png 81 M", "gif frame 4 G", "gif frame 81 M"),
            *("ico png 81 M", "ico bmp 1.6 G", "heif 81 M", "heif 3.6 G", "avif 81 M"),
            *("jp2 81 M", "jp2 2^62", "bmp 1.6 G"),
        ],
    )
    def test_huge_images(self, data: bytes) -> None:
        start = time.process_time()
        with pytest.raises(ImageTooLarge, match="64000000 pixels"):
            read(data)
        assert time.process_time() - start < 2

    def test_a_large_image_of_one_colour(self) -> None:
        """A real bomb: 110 kB of PNG that are 100 million pixels."""
        data = encoded(Image.new("L", (10_000, 10_000)), "PNG")
        assert len(data) < 200_000
        with pytest.raises(ImageTooLarge):
            read(data)

    def test_text_that_unpacks_to_gigabytes(self) -> None:
        bomb = zlib.compress(b"\x00" * 70_000_000)
        for chunk in (
            png_chunk(b"zTXt", b"a\x00\x00" + bomb),
            png_chunk(b"iTXt", b"a\x00\x01\x00\x00\x00" + bomb),
            png_chunk(b"iCCP", b"a\x00\x00" + bomb),
        ):
            start = time.process_time()
            with pytest.raises(ImageUnreadable):
                read(png_of_size(60, 60, chunk))
            assert time.process_time() - start < 5

    def test_a_jpeg_of_thousands_of_scans(self) -> None:
        assert read(jpeg_of_many_scans(20)).size == (640, 480)
        start = time.process_time()
        with pytest.raises(ImageTooLarge, match=f"{MAX_JPEG_SCANS} scans"):
            read(jpeg_of_many_scans(20_000))
        assert time.process_time() - start < 2


SEEDS = [in_format(kind, Image.fromarray(noise(40, 30))) for kind in FORMATS] + [
    encoded(gradient(40, 30).convert(mode), kind)
    for mode, kind in (("P", "PNG"), ("RGBA", "WEBP"), ("CMYK", "JPEG"), ("F", "TIFF"))
]
EDITS = st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=6)), min_size=1, max_size=8)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), edits=EDITS, cut=st.none() | st.integers(0, 10_000))
def test_damaged_files_give_a_image_or_an_error_of_ours(
    seed: bytes, edits: list[tuple[int, bytes]], cut: int | None
) -> None:
    data = bytearray(seed)
    for place, change in edits:
        place %= len(data)
        data[place : place + len(change)] = change
    try:
        image = read(bytes(data[:cut]), max_pixels=1_000_000)
    except ImageUnreadable:
        return
    assert image.mode == "RGB"
    assert np.asarray(image).shape == (image.height, image.width, 3)
