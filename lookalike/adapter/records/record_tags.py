"""The tags of a record, and the sparse vector that keeps them beside its image's vector."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from qdrant_client import models


def tags_of(record: Mapping[str, Any]) -> frozenset[str]:
    """The strings in the record's `tags`, duplicates removed; a field of another form has none."""
    tags = record.get("tags")
    if not isinstance(tags, list):
        return frozenset()
    return frozenset(tag for tag in tags if isinstance(tag, str))


def tag_vector(tags: Iterable[str], *, by_rarity: bool = False) -> models.SparseVector | None:
    """A set of n tags as a sparse vector with 1/sqrt(n) at each tag, None for no tags.

    The dot product of two such vectors is the cosine of the tag sets. `by_rarity`: 1 at each tag,
    for the product with the weights of `search.tags.make_tag_query`.
    """
    indices = sorted({tag_index(tag) for tag in tags})
    if not indices:
        return None
    value = 1.0 if by_rarity else len(indices) ** -0.5
    return models.SparseVector(indices=indices, values=[value] * len(indices))


def tag_index(tag: str) -> int:
    """The first 32 bits of its BLAKE2b hash, so that no vocabulary has to be kept."""
    return int.from_bytes(hashlib.blake2b(tag.encode(), digest_size=4).digest(), "big")
