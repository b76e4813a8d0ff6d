"""The image tower of a CLIP as an ONNX file that `lookalike embedders export` has made.

Images need no PyTorch then: a third of the memory, a start within a second, and three times the
speed if the file is of int8. Texts still do; it is imported with the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.embedders.images.decoding import DECODINGS
from lookalike.embedders.protocol import Distance, TextEmbedder, Vectors, fingerprint
from lookalike.embedders.sessions import open_session

METADATA = "lookalike"
# Change it with anything that moves a vector and is not in the other parts of the revision.
PROCESSING = "exported-1"


class Tower(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says of itself, as JSON in its metadata."""

    weights: str
    """SHA-256 of the folder that it was made from."""
    precision: Literal["float32", "int8"]
    dimension: int
    image_px: int
    fit: Literal["middle", "squash"]
    """The middle square, or all of the image made square."""
    resample: int
    """Pillow's number of the filter."""
    has_text: bool


def file_name(weights: str, precision: str) -> str:
    """The name in the cache folder. `weights`: of `hash_folder`; `precision`: of `Tower`."""
    return f"clip-{weights[:16]}-{precision}.onnx"


def prepare(image: Image.Image, tower: Tower) -> NDArray[np.uint8]:
    """The square that the model sees, uint8 of shape (image_px, image_px, 3).

    As the processors of transformers make it, which round the longer side down.
    """
    side, method = tower.image_px, Image.Resampling(tower.resample)
    if tower.fit == "squash":
        return np.asarray(image.resize((side, side), method))
    shorter = min(image.size)
    width, height = (side * length // shorter for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    scaled = image.resize((width, height), method)
    return np.asarray(scaled.crop((left, top, left + side, top + side)))


class ExportedClip:
    """Vectors of length 1; cosine distance."""

    name = "clip"
    distance: Distance = "cosine"
    # Images that run together share the scale of their int8 activations, so that each would
    # depend on its neighbours, by a hundredth. Alone they take 15 % longer.
    batch_size = 1

    def __init__(self, file: Path) -> None:
        """Raises what onnxruntime raises, KeyError and msgspec's errors for any other file."""
        self._session = open_session(file)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.tower = msgspec.json.decode(metadata[METADATA], type=Tower)
        self.dimension = self.tower.dimension
        self.image_px = self.tower.image_px
        parts = (PROCESSING, "onnxruntime", self.tower.precision, self.dimension)
        self.revision, *self.former_revisions = (
            fingerprint(self.tower.weights, decoding, *parts) for decoding in DECODINGS
        )

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """RGB images of any size -> float32 of shape (n, dimension), each row of length 1."""
        if not images:
            return np.empty((0, self.dimension), np.float32)
        vectors = np.concatenate([self._embed(prepare(image, self.tower)) for image in images])
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def _embed(self, pixels: NDArray[np.uint8]) -> Vectors:
        (vectors,) = self._session.run(None, {"image": pixels[np.newaxis]})
        found: Vectors = vectors
        return found


class ExportedClipWithText(ExportedClip):
    """`load_text` answers the model that the tower was taken from."""

    def __init__(self, file: Path, load_text: Callable[[], Any]) -> None:
        super().__init__(file)
        self._load_text = load_text
        self._text: TextEmbedder | None = None

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Any strings -> float32 of shape (n, dimension), each row of length 1.

        Raises `EmbedderBroken` where PyTorch is not installed.
        """
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        if self._text is None:
            self._text = self._load_text()
        return self._text.embed_texts(texts)
