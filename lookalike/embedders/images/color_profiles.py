"""The colours that an image means by its profile -> sRGB, in which embedders see.

A camera's #14a03c in Adobe RGB is another number than the web's. A profile that is broken, or of
another kind of pixels than the image's, is passed over, as browsers do.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

# Those of printing presses have 0.5 to 3 MB.
MAX_PROFILE_BYTES = 4 * 1024 * 1024
# Pillow refuses a PNG that unpacks to more, whatever it holds, and would do so from 1 MiB on.
PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES
# Colours all over the cube, and greys among them; and how far rounding may take them.
_STEPS = np.linspace(0, 255, 16, dtype=np.uint8)
_SAMPLES = np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS), axis=-1).reshape(64, 64, 3)
_SAME = 2
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
# The list of what a profile holds: at most 100 entries of 12 bytes.
_TAGS = slice(132, 132 + 100 * 12)
# Tags of these names may hold a hundred thousand steps of computing, done for each of 36,000
# nodes when the conversion is prepared. Nothing that the web knows has them.
_UNBOUNDED = (b"D2B", b"B2D")


def to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """L, RGB and CMYK -> RGB, LA and RGBA -> RGBA; `profile` is Pillow's `icc_profile`."""
    if image.mode in ("LA", "RGBA"):
        opaque = to_srgb(image.convert(image.mode[:-1]), profile)
        opaque.putalpha(image.getchannel("A"))
        return opaque
    if isinstance(profile, bytes) and len(profile) <= MAX_PROFILE_BYTES:
        transform = _transform(profile, image.mode)
        if transform is not None:
            return transform.apply(image)
    return image.convert("RGB")


@lru_cache(maxsize=16)  # preparing one for CMYK takes longer than the conversion
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    if any(name in profile[_TAGS] for name in _UNBOUNDED):
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _MODES.get(source.profile.xcolor_space) != mode:
            return None
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        transform = ImageCms.ImageCmsTransform(source, srgb, mode, "RGB")
    except Exception:  # OSError, PyCMSError, ValueError …: a remark about an image that is wrong
        return None
    return None if _changes_nothing(transform, mode) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Most profiles are sRGB under one of many names; what is sRGB already stays as it is."""
    samples = Image.fromarray(_SAMPLES).convert(mode)
    plain = np.asarray(samples.convert("RGB"), np.int16)
    return bool(np.abs(np.asarray(transform.apply(samples)) - plain).max() <= _SAME)
