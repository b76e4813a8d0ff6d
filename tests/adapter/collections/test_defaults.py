"""What a collection gets that asks for nothing: by its type, unless the operator says otherwise."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from lookalike.adapter.collections.collection_settings import Collection, CollectionType
from lookalike.adapter.collections.defaults import (
    EMBEDDERS,
    embedder_for,
    embedders_at_start,
    near_duplicate_radius,
)
from lookalike.embedders.registry import installed

IMAGES: tuple[CollectionType, ...] = ("photos", "products", "fashion", "homedecor", "custom")


def test_every_type_has_an_embedder_that_is_installed() -> None:
    assert EMBEDDERS.keys() == set(get_args(CollectionType))
    assert set(EMBEDDERS.values()) <= {point.name for point in installed()}


@pytest.mark.parametrize("type_", get_args(CollectionType))
def test_the_embedder_of_the_settings_goes_before_that_of_the_type(type_: CollectionType) -> None:
    assert embedder_for(type_) == EMBEDDERS[type_]
    wanted = "clip" if type_ in IMAGES else EMBEDDERS[type_]
    assert embedder_for(type_, "clip") == wanted


def test_a_start_loads_what_new_collections_of_images_get() -> None:
    assert embedders_at_start() == ["lite0-384", "product"]
    assert embedders_at_start("lite0") == ["lite0"]


@pytest.mark.parametrize(
    ("embedder", "distance", "radius"),
    [
        ("product", "cosine", 0.05),
        ("lite0-384", "cosine", 0.1),
        ("lite0", "cosine", 0.1),
        ("colors", "cosine", 0.01),
        ("phash", "manhattan", 8),
        ("somebody's", "cosine", 0.1),
    ],
)
def test_near_duplicates_by_embedder(embedder: str, distance: str, radius: float) -> None:
    settings = {
        "id": "i", "physical": "p", "name": "n", "type": "custom", "embedder": embedder,
        "revision": "r", "dimension": 1, "distance": distance, "created": "",
    }  # fmt: skip
    assert near_duplicate_radius(msgspec.convert(settings, Collection)) == radius
