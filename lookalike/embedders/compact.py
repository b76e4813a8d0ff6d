"""The bundled network in 384 numbers instead of 1280: less to store, less to search.

What is kept was learned with the network: its classifier turns the 1280 numbers into 1000 classes,
and looks mostly along a few hundred directions. These are its largest singular vectors; the rest
of the space hardly moves any class. No images are needed for that, and no file: the directions
are computed once from the weights. On real images recall@1 stays within 0.01 of all 1280 numbers
(docs/embedders.md), where a random projection of that size loses 0.02.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.embedders import lite0
from lookalike.embedders.protocol import Distance, Vectors, fingerprint
from lookalike.embedders.shared_networks import shared
from lookalike.embedders.whole_files import write_whole

log = logging.getLogger(__name__)

NAME = "lite0-384"
DIMENSION = 384
REVISIONS = [
    fingerprint(network, "classifier-directions-1", DIMENSION) for network in lite0.REVISIONS
]


class Compact:
    """384 numbers of length 1; cosine distance."""

    name = NAME
    revision, *former_revisions = REVISIONS
    dimension = DIMENSION
    distance: Distance = "cosine"
    image_px = lite0.IMAGE_PX
    batch_size = 1

    def __init__(self, network: lite0.Lite0, directions: Vectors) -> None:
        """`directions`: of `classifier_directions`."""
        self._network, self._directions = network, directions

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """RGB images of any size -> float32 of shape (n, 384), each row of length 1."""
        vectors = self._network.embed_images(images) @ self._directions
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def classifier_directions() -> Vectors:
    """float32 of shape (1280, 384), orthonormal columns; the same on every machine to 1e-6."""
    classifier = np.asarray(lite0.read_weights()["_fc.weight"], np.float64)
    # What all classes have in common cancels out among them.
    _, _, rows = np.linalg.svd(classifier - classifier.mean(axis=0), full_matrices=False)
    directions = rows[:DIMENSION].T
    # A singular vector may point either way, and libraries differ in that.
    largest = np.abs(directions).argmax(axis=0)
    signs = np.sign(directions[largest, np.arange(DIMENSION)])
    pointed: Vectors = (directions * signs).astype(np.float32)
    return pointed


@shared
def load(cache_folder: Path) -> Compact:
    """Loads network and directions; the first time both are computed, in a second.

    Raises as `lite0.load` does.
    """
    # Before the network: the memory that this takes is free again when the network is built.
    directions = _directions(cache_folder / f"{NAME}-{Compact.revision}.npy")
    return Compact(lite0.load(cache_folder), directions)


def _directions(path: Path) -> Vectors:
    if path.exists():
        try:
            directions: Vectors = np.load(path, allow_pickle=False)
            if directions.shape == (lite0.DIMENSION, DIMENSION):
                return directions
        except (OSError, ValueError, EOFError):
            log.warning("the cached directions cannot be read and are computed again")
    directions = classifier_directions()
    file = io.BytesIO()
    np.save(file, directions)
    try:
        write_whole(path, file.getvalue())
    except OSError:
        log.warning("the directions cannot be cached, so every start computes them")
    return directions
