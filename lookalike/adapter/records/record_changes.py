"""What an update asks of a record, and the record that comes of it. No I/O.

The fields of a change are set, those that `$unset` names are removed, all others stay. An image is
read where the change brings one: `_base64`, a `_url` that is not the stored one, or another `_crop`
of the image that is there. A daily feed that names the same `_url` again costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import msgspec

from lookalike.adapter.errors import RecordRefused
from lookalike.adapter.filters import RESERVED
from lookalike.adapter.point_layout import RESERVED_KEY
from lookalike.adapter.records.bookkeeping import crop_of_image
from lookalike.adapter.records.image_sources import Crop, ImageSource, crop_of
from lookalike.adapter.records.point_writes import usable_id
from lookalike.adapter.records.points import UNSTORED_FIELDS, Record, metadata, stored_record
from lookalike.adapter.records.record_tags import check_tags

UNSET = "$unset"
"""MongoDB's name of what removes fields: `["a", "b"]`, or as there `{"a": "", "b": ""}`."""

COLORS = "_dominant_colors"

_CROP = "_crop"


class Change(msgspec.Struct, frozen=True):
    """One record of an update."""

    place: int
    """In the request, from 0."""
    id: str
    fields: Record
    removed: frozenset[str]
    url: str | None
    base64: str | None
    crop: Crop | None
    names_crop: bool
    """Whether `_crop` is given, or to be removed: none is one, too."""

    @classmethod
    def of(cls, place: int, record: Record) -> Self:
        """Raises RecordRefused."""
        id_ = usable_id(record)
        removed = _removed(record)
        given = {name: value for name, value in record.items() if name != UNSET}
        check_tags(given)
        source = ImageSource.of(given)
        return cls(
            place,
            id_,
            metadata(given | {"_id": id_}),
            removed,
            url=(source and source.url) or None,
            base64=(source and source.base64) or None,
            crop=crop_of(given),
            names_crop=_CROP in given or _CROP in removed,
        )


class RecordState(msgspec.Struct, frozen=True):
    """A record on its way through the changes of a batch."""

    record: Record
    crop: Crop | None
    source: ImageSource | None = None
    """Of the image that its vectors are to be made of; None for that of before."""

    @classmethod
    def stored(cls, payload: Mapping[str, Any] | None) -> Self:
        return cls(stored_record(payload), crop_of_image(payload))

    def brings_image(self, change: Change) -> bool:
        """Whether the vectors are to be of another image, or another part of it."""
        return self._is_new(change) or self._moves_crop(change)

    def changed(self, change: Change, *, reads: bool) -> RecordState:
        """Raises RecordRefused. Not `reads`: the vectors stay those of the image of before."""
        self._check_operators(change)
        kept = {name: value for name, value in self.record.items() if name not in change.removed}
        record = metadata(kept | change.fields)
        if not reads or not self.brings_image(change):
            return RecordState(record, self.crop, self.source)
        if self._is_new(change):
            # A part of the former image is no part of this one.
            return RecordState(
                record, change.crop, ImageSource(change.url, change.base64, change.crop)
            )
        if self.source is not None:
            source = msgspec.structs.replace(self.source, crop=change.crop)
        elif record.get("_url"):
            source = ImageSource(record["_url"], None, change.crop)
        else:
            raise RecordRefused(
                400, "for another _crop the picture is needed: the record has no _url, so send it"
            )
        return RecordState(record, change.crop, source)

    def _is_new(self, change: Change) -> bool:
        if change.base64 is not None:
            return True
        return change.url is not None and change.url != self.record.get("_url")

    def _moves_crop(self, change: Change) -> bool:
        return change.names_crop and not _same_crop(change.crop, self.crop)

    def _check_operators(self, change: Change) -> None:
        """A name with `$` is meant as an operator, unless the record was inserted with it."""
        for name in change.fields:
            if name.startswith("$") and name not in self.record:
                raise RecordRefused(
                    400, f"the operator {name} is not supported; fields are set by their names"
                )
        for name in change.removed - self.record.keys():
            whole, dot, _ = name.partition(".")
            if dot and whole in self.record:
                raise RecordRefused(
                    400, f"{UNSET} removes whole fields: set {whole} without what is to go"
                )


def _removed(record: Record) -> frozenset[str]:
    named = record.get(UNSET)
    if named is None:
        return frozenset()
    if not isinstance(named, list | dict) or not all(isinstance(name, str) for name in named):
        raise RecordRefused(400, f"{UNSET} must be a list of field names, or an object of them")
    for name in named:
        if name == RESERVED_KEY:
            raise RecordRefused(400, RESERVED)
        if name == "_id":
            raise RecordRefused(400, "the field _id cannot be removed")
        if name in UNSTORED_FIELDS and name != _CROP:
            raise RecordRefused(400, f"the field {name} is never stored, and cannot be removed")
        if name in record:
            raise RecordRefused(400, f"the field {name} is both set and removed")
    return frozenset(named)


def _same_crop(one: Crop | None, other: Crop | None) -> bool:
    """Engines do not give every double back in its last digit."""
    if one is None or other is None:
        return one is other
    return all(math.isclose(a, b) for a, b in zip(one, other, strict=True))
