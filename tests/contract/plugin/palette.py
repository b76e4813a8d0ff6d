"""An embedder as a package of its own offers it: an image's mean colour, and words for colours.

It imports nothing of Lookalike. Its vectors can be told from an image by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

WORDS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0)}


class Palette:
    name = "palette"
    revision = "palette-1"
    dimension = 3
    distance = "cosine"
    image_px = 8

    def embed_images(self, images: Sequence[Any]) -> Any:
        rows = [np.asarray(image, np.float32).mean((0, 1)) + 1 for image in images]
        return np.stack([row / np.linalg.norm(row) for row in rows])

    def embed_texts(self, texts: Sequence[str]) -> Any:
        rows = []
        for text in texts:
            known = [WORDS[word] for word in text.lower().split() if word in WORDS]
            row = np.sum(known or [(1, 1, 1)], axis=0).astype(np.float32)
            rows.append(row / np.linalg.norm(row))
        return np.stack(rows)


def load(cache_folder: Path) -> Palette:
    return Palette()
