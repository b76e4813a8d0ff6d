"""The tags of a record with their weights, and the sparse vector that keeps them.

Customers write a list of texts into `tags`. The provider's tagging services answer `_tags`, with a
probability for each tag, and `_tags_simple`, and whoever keeps their answers sends these. All of
their forms are read; a form that is none of them is refused, because a record whose tags count as
none is ranked by its image alone and nobody is told.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from qdrant_client import models

from lookalike.adapter.errors import InvalidRequest, RecordRefused
from lookalike.adapter.point_layout import RESERVED_KEY

TAG_FIELDS = ("tags", "_tags", "_tags_simple")
"""The first of them that is there, and not null, has the tags of a record; the others are fields
like any other. So whoever sends `tags` beside a tagger's answer decides what counts."""

Tags = Mapping[str, float]
"""The weight of each tag, above 0 and at most 1: a probability, or 1 where none is given."""


TAG_NAMES = "tags"
"""Under the reserved key: the tags that stand in `tags` in another form than texts, or not there.
`search.tags` counts the records with a tag by a filter, which finds texts."""
TAG_NAMES_PATH = f"{RESERVED_KEY}.{TAG_NAMES}"

NO_TAG = "a tag must be a text, a number, or an object with a name and a probability"

_PLAIN = re.compile(r"[\w-]{1,60}")


class _Tag(NamedTuple):
    name: str
    weight: float


class _Fault(NamedTuple):
    place: str
    text: str


def read_tags(record: Mapping[str, Any], place: str = "") -> Tags | None:
    """The tags that a record of a request is given with; None where it has none of `TAG_FIELDS`.

    `place` is that of the record. Raises InvalidRequest at the place of what is no tag.
    """
    field = _field_of(record)
    if field is None:
        return None
    found: list[_Tag] = []
    for each in _read(record[field], f"{place}.{field}" if place else field):
        if isinstance(each, _Fault):
            raise InvalidRequest(each.text, place=each.place)
        found.append(each)
    return _weights(found)


def check_tags(record: Mapping[str, Any]) -> None:
    """Raises RecordRefused for a record with what `read_tags` refuses, and names its place."""
    try:
        read_tags(record)
    except InvalidRequest as fault:
        raise RecordRefused(fault.code, str(fault)) from None


def tags_of(record: Mapping[str, Any]) -> Tags:
    """The tags of a stored record. What older versions have kept and is no tag is passed over."""
    field = _field_of(record)
    if field is None:
        return {}
    return _weights(each for each in _read(record[field], field) if isinstance(each, _Tag))


def unlisted_tags(record: Mapping[str, Any]) -> list[str]:
    """The tags of a record that a filter on `tags` for their names does not find."""
    tags = record.get("tags")
    listed = {
        text for text in (tags if isinstance(tags, list) else [tags]) if isinstance(text, str)
    }
    return sorted(tags_of(record).keys() - listed)


def merge_tags(several: Iterable[Tags]) -> Tags:
    """The tags of several records together, each with its largest weight."""
    return _weights(_Tag(*item) for tags in several for item in tags.items())


def _field_of(record: Mapping[str, Any]) -> str | None:
    return next((name for name in TAG_FIELDS if record.get(name) is not None), None)


def _weights(tags: Iterable[_Tag]) -> dict[str, float]:
    """Of a tag that is there twice the larger weight; a weight of 0 is no tag."""
    weights: dict[str, float] = {}
    for name, weight in tags:
        if weight > weights.get(name, 0.0):
            weights[name] = weight
    return weights


def _read(value: Any, place: str) -> Iterator[_Tag | _Fault]:
    """One tag, a list of tags, probabilities by tag, or tags by category."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield _read_tag(item, f"{place}[{index}]")
    elif not isinstance(value, dict) or _is_tag(value):
        yield _read_tag(value, place)
    else:
        for key, inner in value.items():
            there = (
                f"{place}.{key}" if _PLAIN.fullmatch(key) else f"{place}[{json.dumps(key[:60])}]"
            )
            if _is_number(inner):
                yield _read_weight(key, inner, there)
            elif isinstance(inner, list):
                yield from _read(inner, there)
            elif inner is not None:
                yield _read_tag(inner, there)


def _is_tag(value: Mapping[str, Any]) -> bool:
    """Whether an object is one tag, and does not hold tags under their names or categories."""
    return isinstance(value.get("name"), str)


def _read_tag(value: Any, place: str) -> _Tag | _Fault:
    """A text, a number, or an object with a `name` and perhaps a `prob`."""
    if not isinstance(value, dict):
        return _read_weight(value, 1, place)
    if "name" not in value:
        return _Fault(place, NO_TAG)
    return _read_weight(value["name"], value.get("prob"), place)


def _read_weight(name: Any, weight: Any, place: str) -> _Tag | _Fault:
    """An empty text, which is what a table has where there is no tag, weighs nothing."""
    if isinstance(name, float) and name.is_integer():
        name = int(name)
    if not isinstance(name, str) and not _is_number(name):
        return _Fault(place, NO_TAG)
    if weight is None:
        weight = 1
    if not _is_number(weight) or not 0 <= weight <= 1:
        return _Fault(place, "the probability of a tag must be a number from 0 to 1")
    text = str(name)
    return _Tag(text, float(weight) if text.strip() else 0.0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def tag_vector(tags: Tags, *, by_rarity: bool = False) -> models.SparseVector | None:
    """Tags as a sparse vector of length 1 in the direction of their weights, None for no tags.

    The dot product of two such vectors is the cosine of the weights. Where all weights are 1, there
    is 1/sqrt(n) at each of n tags, and it is the cosine of the tag sets. `by_rarity`: the weights
    as they are, for the product with those of `search.tags.make_tag_query`.
    """
    if not tags:
        return None
    length = 1.0 if by_rarity else math.hypot(*tags.values())
    return sparse({tag: weight / length for tag, weight in tags.items()})


def sparse(weights: Tags) -> models.SparseVector:
    """A sparse vector with these numbers at the indices of their tags."""
    of_index: dict[int, float] = {}
    for tag, weight in weights.items():
        index = tag_index(tag)
        of_index[index] = max(weight, of_index.get(index, 0.0))
    indices = sorted(of_index)
    return models.SparseVector(indices=indices, values=[of_index[index] for index in indices])


def tag_index(tag: str) -> int:
    """The first 32 bits of its BLAKE2b hash, so that no vocabulary has to be kept."""
    return int.from_bytes(hashlib.blake2b(tag.encode(), digest_size=4).digest(), "big")
