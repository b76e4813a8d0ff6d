"""Colour profiles made from numbers, as those of cameras, screens and printing presses are."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

D50 = np.array([0.9642, 1.0, 0.8249])
D65 = (0.3127, 0.3290)
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_CMYK_NODES = 9


def rgb_profile(primaries: tuple[tuple[float, float], ...], gamma: float) -> bytes:
    """Three primaries in CIE xy, white D65, one gamma."""
    colours = np.stack([_xyz(*each) for each in primaries], axis=1)
    white = _xyz(*D65)
    colours = colours * np.linalg.solve(colours, white)
    adapt = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ D50) / (_BRADFORD @ white)) @ _BRADFORD
    red, green, blue = (adapt @ colours).T
    curve = _gamma(gamma)
    return _profile(
        b"RGB ",
        b"XYZ ",
        b"mntr",
        {
            b"rXYZ": _xyz_tag(red), b"gXYZ": _xyz_tag(green), b"bXYZ": _xyz_tag(blue),
            b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, b"wtpt": _xyz_tag(D50),
        },
    )  # fmt: skip


def grey_profile(gamma: float) -> bytes:
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": _gamma(gamma), b"wtpt": _xyz_tag(D50)})


def cmyk_profile() -> bytes:
    """A press whose inks are stronger than the web thinks: twice the ink is needed for nothing."""
    steps = np.linspace(0, 1, _CMYK_NODES)
    c, m, y, k = np.meshgrid(steps, steps, steps, steps, indexing="ij")
    shown = np.stack([((1 - ink) * (1 - k)) ** 2 for ink in (c, m, y)], axis=-1).reshape(-1, 3)
    lab = _lab_of_srgb(shown)
    codes = np.clip(lab * [652.8, 256, 256] + [0, 32768, 32768], 0, 65535).round().astype(">u2")
    line = struct.pack(">HH", 0, 65535)
    identity = struct.pack(">9i", *(65536 * n for n in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = b"mft2\0\0\0\0" + bytes([4, 3, _CMYK_NODES, 0]) + identity
    table += struct.pack(">HH", 2, 2) + 4 * line + codes.tobytes() + 3 * line
    return _profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": table, b"wtpt": _xyz_tag(D50)})


def in_profile(image: Image.Image, profile: bytes, mode: str) -> Image.Image:
    """An sRGB image in the numbers of another profile that names its colours by primaries."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    wanted = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.ImageCmsTransform(srgb, wanted, "RGB", mode).apply(image.convert("RGB"))


def on_press(rgb: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """The inks by which `cmyk_profile` shows a colour of sRGB."""
    cyan, magenta, yellow = (round(255 * (1 - (value / 255) ** 0.5)) for value in rgb)
    return cyan, magenta, yellow, 0


def with_tag(profile: bytes, old: bytes, new: bytes) -> bytes:
    """The profile with another name for one of its tags."""
    return profile.replace(old, new, 1)


def _profile(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    start = 132 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += name + struct.pack(">II", start + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    header = struct.pack(">I4sI4s4s4s12x4s", start + len(content), b"", 0x02400000, kind, space,
                         connection, b"acsp").ljust(68, b"\0")  # fmt: skip
    header += struct.pack(">3i", *(round(value * 65536) for value in D50))
    return header.ljust(128, b"\0") + table + content


def _gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH2x", 1, round(gamma * 256))


def _xyz_tag(xyz: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in xyz))


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _lab_of_srgb(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 to 1 -> CIELAB with the white point D50."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array(
        [[0.4360747, 0.2225045, 0.0139322], [0.3850649, 0.7168786, 0.0971045],
         [0.1430804, 0.0606169, 0.7141733]]
    )  # fmt: skip
    t = xyz / D50
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
