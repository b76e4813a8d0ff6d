"""Paints: a collection whose distances can be told by hand, by the embedder `palette`.

The embedder is in the folder `plugin`: an image's mean colour, and words for colours.
"""

from __future__ import annotations

import base64
import io
import math
from typing import Any

from PIL import Image

from tests.service import Service

COLOURS = {
    "red": (250, 0, 0),
    "rose": (250, 90, 90),
    "orange": (250, 120, 0),
    "yellow": (250, 250, 0),
    "green": (0, 250, 0),
    "teal": (0, 200, 200),
    "blue": (0, 0, 250),
    "navy": (0, 0, 125),
}
"""`navy` has the direction of `blue`, nearly: as good as the same to this embedder."""


TAGS = {
    "red": ["warm"],
    "rose": ["warm", "soft"],
    "yellow": ["warm", "bright"],
    "green": ["bright"],
}


KINDS = {"red": "a", "rose": "a", "orange": "b", "yellow": "b", "green": 1, "teal": 1.0}


def png(colour: tuple[int, int, int], side_px: int = 2) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (side_px, side_px), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def distance(one: str, other: str) -> float:
    a, b = ([channel + 1 for channel in COLOURS[name]] for name in (one, other))
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - product / (math.hypot(*a) * math.hypot(*b))


def paint(name: str, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"_id": name, "_base64": png(COLOURS[name]), "hex": name.upper()}
    if name in TAGS:
        given["tags"] = TAGS[name]
    if name in KINDS:
        given["kind"] = KINDS[name]
    return given | more


def filled(service: Service, **settings: Any) -> str:
    collection = service.collection(embedder="palette", **settings)
    answer = service.answer("insert", collection, {"records": [paint(name) for name in COLOURS]})
    assert answer["status"]["code"] == 210
    return collection


def nearest_to(name: str) -> list[str]:
    return sorted(COLOURS, key=lambda other: (round(distance(name, other), 6), other))
