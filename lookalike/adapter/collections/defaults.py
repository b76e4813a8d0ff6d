"""What a collection gets that asks for nothing else: the one place that chooses, and why.

The figures behind it are in docs/embedders.md; `python -m benchmarks quality`, `dimensions` and
`duplicates` print them.
"""

from __future__ import annotations

from lookalike.adapter.collections.collection_settings import Collection, CollectionType

EMBEDDERS: dict[CollectionType, str] = {
    # The nearest image is as often right as with all 1280 numbers of `lite0`, in a third of the
    # space.
    "photos": "lite0-384",
    "custom": "lite0-384",
    # Four times as often another image of the same product, and the category no worse.
    "products": "product",
    "fashion": "product",
    "homedecor": "product",
    "colors": "colors",
    "matching": "phash",
}

COMPARED_IN_THEIR_OWN_WAY: frozenset[CollectionType] = frozenset({"colors", "matching"})
"""The embedder that the settings prefer is not for them."""

NEAR_DUPLICATE_RADIUS = {"product": 0.05, "colors": 0.01}
"""By embedder, where its space has another scale than most."""
SAME_IMAGE_BITS = 8.0
"""Bits of perceptual hashes that may differ in what is taken for the same image."""
NEAR_DUPLICATE_RADIUS_OF_DISTANCE = {"manhattan": SAME_IMAGE_BITS}
"""For all other distances `DEFAULT_NEAR_DUPLICATE_RADIUS`."""
DEFAULT_NEAR_DUPLICATE_RADIUS = 0.1


def embedder_for(type_: CollectionType, preferred: str = "") -> str:
    """The embedder of a new collection that names none; `preferred` comes from the settings."""
    if preferred and type_ not in COMPARED_IN_THEIR_OWN_WAY:
        return preferred
    return EMBEDDERS[type_]


def embedders_at_start(preferred: str = "") -> list[str]:
    """Those that a service has ready before it says that it is; the others load when needed."""
    types = EMBEDDERS.keys() - COMPARED_IN_THEIR_OWN_WAY
    return sorted({embedder_for(type_, preferred) for type_ in types})


def near_duplicate_radius(collection: Collection) -> float:
    """The distance up to which two images are taken for the same one."""
    of_distance = NEAR_DUPLICATE_RADIUS_OF_DISTANCE.get(
        collection.distance, DEFAULT_NEAR_DUPLICATE_RADIUS
    )
    return NEAR_DUPLICATE_RADIUS.get(collection.embedder, of_distance)
