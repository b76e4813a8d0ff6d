"""Update: merges into the newest state, on every engine and with any number of API processes.

A record and its vectors change in one step: where any vector changes, the whole point is written.
It is written on the condition that the point still carries the token that was read, and tried
again when somebody was faster.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from qdrant_client import models

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.errors import RecordRefused, Unavailable
from lookalike.adapter.point_layout import TAGS_VECTOR
from lookalike.adapter.records.batch_outcome import Updated
from lookalike.adapter.records.bookkeeping import in_state, renewed, stored_payload, token_of
from lookalike.adapter.records.image_sources import Embed, Embedded, ImageSource
from lookalike.adapter.records.point_writes import NamedVectors, PointWrites
from lookalike.adapter.records.points import (
    Record,
    point_id,
    shown,
    stored_record,
)
from lookalike.adapter.records.record_changes import COLORS, Change, RecordState
from lookalike.adapter.records.record_tags import tag_vector, tags_of

UPDATE_ATTEMPTS = 20


class ReadImages(msgspec.Struct, frozen=True):
    """How an update reads images; `with_colors` makes their dominant colours too."""

    plain: Embed
    with_colors: Embed


class _Image(msgspec.Struct):
    embedded: Embedded
    vectors: NamedVectors


class _Images:
    """The images of one update, each read once, whatever happens to the writing."""

    def __init__(self, writes: PointWrites, collection: Collection, read: ReadImages) -> None:
        self._writes = writes
        self._collection = collection
        self._read = read
        self._known: dict[tuple[ImageSource, bool], _Image | RecordRefused] = {}
        self.wanted: dict[ImageSource, bool] = {}

    def get(self, source: ImageSource, colors: bool) -> _Image | RecordRefused | None:
        """None for one that is not read yet; it is wanted from now on."""
        found = self._known.get((source, colors))
        if found is None:
            self.wanted[source] = colors or self.wanted.get(source, False)
        return found

    async def read_wanted(self) -> None:
        """All in one request to the embedder, which refuses it before anything is fetched."""
        sources, colors = list(self.wanted), any(self.wanted.values())
        results = await (self._read.with_colors if colors else self._read.plain)(sources)
        pairs = list(zip(sources, results, strict=True))
        readable = [(source, one) for source, one in pairs if isinstance(one, Embedded)]
        vectors = iter(await self._writes.add_second(self._collection, readable))
        for source, one in pairs:
            found = _Image(one, next(vectors)) if isinstance(one, Embedded) else one
            self._known[source, False] = self._known[source, colors] = found
        self.wanted.clear()


class _Target(msgspec.Struct):
    """A stored point, and what the changes of the batch have made of its record."""

    payload: Mapping[str, Any] | None
    state: RecordState
    image: _Image | None = None
    applied: bool = False
    unread: bool = False
    """Whether it was given another image than its vectors are of."""
    refusals: dict[int, RecordRefused] = {}
    """By the place of the change in the request."""

    @property
    def moves_tags(self) -> bool:
        return tags_of(stored_record(self.payload)) != tags_of(self.state.record)

    def new_payload(self, token: str) -> Record:
        image = None
        if self.image is not None:
            image = self.image.embedded.content_hash, self.state.crop
        return stored_payload(self.state.record, renewed(self.payload, token, image))


class Updater:
    """Updates the records of one engine."""

    def __init__(self, writes: PointWrites) -> None:
        self._writes = writes
        self._engine = writes.engine

    async def update(
        self,
        collection: Collection,
        records: Sequence[Record],
        fields: frozenset[str] | None,
        read: ReadImages | None,
    ) -> Updated:
        """As `Writer.update`."""
        await self._engine.check_room()
        changes, refusals = _read_changes(records)
        images = None if read is None else _Images(self._writes, collection, read)
        done: dict[str, _Target] = {}
        pending = list(changes)
        for _ in range(UPDATE_ATTEMPTS):
            if not pending:
                break
            targets = await self._find_targets(
                collection, {id_: changes[id_] for id_ in pending}, images
            )
            written = await self._write(collection, targets)
            done |= {id_: one for id_, one in targets.items() if id_ in written or not one.applied}
            # One that was deleted meanwhile is not found again, which is the truth.
            pending = [id_ for id_ in targets if id_ not in done]
        if pending:
            raise Unavailable("The records are being changed by others; try again.")
        found = {id_: done[id_] for id_ in changes if id_ in done}  # in the order of the request
        for target in found.values():
            refusals |= target.refusals
        return Updated(
            done=[shown(one.state.record, fields) for one in found.values() if one.applied],
            refused=[(records[place], refusals[place]) for place in sorted(refusals)],
            missing=len(changes) - len(found),
            unread=[changes[id_][0].id for id_, one in found.items() if one.unread],
        )

    async def _find_targets(
        self, collection: Collection, changes: dict[str, list[Change]], images: _Images | None
    ) -> dict[str, _Target]:
        """The changes applied to what is stored, as far as their images can be read."""
        found = await self._engine.retrieve(collection.physical, list(changes), with_payload=True)
        payloads = {str(point.id): point.payload for point in found}
        while True:
            targets = {
                id_: _apply(payloads[id_], changes[id_], images)
                for id_ in changes
                if id_ in payloads
            }
            if images is None or not images.wanted:
                return targets
            await images.read_wanted()

    async def _write(self, collection: Collection, targets: dict[str, _Target]) -> set[str]:
        """Writes each target while its point is in the state that was read; those that were."""
        targets = {id_: target for id_, target in targets.items() if target.applied}
        if not targets:
            return set()
        await self._writes.index_new_fields(collection, [t.state.record for t in targets.values()])
        token = uuid.uuid4().hex
        vectors = await self._new_vectors(collection, targets)
        if vectors:
            points: list[models.PointStruct] = []
            conditions: list[models.Condition] = []
            for id_, dense in vectors.items():
                target = targets[id_]
                points.append(_whole_point(id_, collection, target.new_payload(token), dense))
                conditions.append(self._unchanged(collection, id_, target, dense))
            await self._engine.upsert(
                collection.physical,
                points=points,
                update_mode=models.UpdateMode.UPDATE_ONLY,
                update_filter=models.Filter(should=conditions),
            )
        operations: list[models.UpdateOperation] = [
            models.OverwritePayloadOperation(
                overwrite_payload=models.SetPayload(
                    payload=target.new_payload(token),
                    filter=in_state(id_, token_of(target.payload)),
                )
            )
            for id_, target in targets.items()
            if target.image is None and not target.moves_tags
        ]
        if operations:
            await self._engine.batch_update_points(
                collection.physical, update_operations=operations
            )
        tokens = await self._writes.read_tokens(collection, list(targets))
        return {id_ for id_ in targets if tokens.get(id_) == token}

    async def _new_vectors(
        self, collection: Collection, targets: dict[str, _Target]
    ) -> dict[str, NamedVectors]:
        """The dense vectors of the points of which any vector changes: new ones, or those that are
        stored where only the tags move."""
        found = {
            id_: self._writes.keep_present(collection, target.image.vectors)
            for id_, target in targets.items()
            if target.image is not None
        }
        others = [id_ for id_, one in targets.items() if id_ not in found and one.moves_tags]
        if others:
            names = self._writes.present_names(collection)
            for point in await self._engine.retrieve(
                collection.physical, others, with_payload=False, with_vectors=names
            ):
                stored: Any = point.vector
                found[str(point.id)] = stored or {}
        return found

    def _unchanged(
        self, collection: Collection, id_: str, target: _Target, dense: NamedVectors
    ) -> models.Filter:
        """Nobody has written the point; nor has a migration, which leaves no token, given it a
        vector that we have not read."""
        lacking = [name for name in self._writes.present_names(collection) if name not in dense]
        condition = in_state(id_, token_of(target.payload))
        if target.image is None and lacking:
            condition.must_not = [models.HasVectorCondition(has_vector=name) for name in lacking]
        return condition


def _read_changes(
    records: Sequence[Record],
) -> tuple[dict[str, list[Change]], dict[int, RecordRefused]]:
    """The changes of each point, in order, and by their places the records that are none."""
    changes: dict[str, list[Change]] = defaultdict(list)
    refusals: dict[int, RecordRefused] = {}
    for place, record in enumerate(records):
        try:
            change = Change.of(place, record)
            changes[point_id(change.id)].append(change)
        except RecordRefused as refusal:
            refusals[place] = refusal
    return changes, refusals


def _apply(
    payload: Mapping[str, Any] | None, changes: list[Change], images: _Images | None
) -> _Target:
    """One after the other; one that is refused leaves what those before it have made."""
    target = _Target(payload, RecordState.stored(payload))
    for change in changes:
        try:
            state = target.state.changed(change, reads=images is not None)
            if images is None:
                target.unread |= target.state.brings_image(change)
            elif state.source is not None and state.source != target.state.source:
                colors = COLORS in state.record and COLORS not in change.fields
                image = images.get(state.source, colors)
                if image is None:
                    return target  # What comes after it is seen when the image has been read.
                if isinstance(image, RecordRefused):
                    raise image
                if colors:
                    state.record[COLORS] = image.embedded.dominant_colors
                target.image = image
        except RecordRefused as refusal:
            target.refusals[change.place] = refusal
            continue
        target.state, target.applied = state, True
    return target


def _whole_point(
    id_: str, collection: Collection, payload: Record, dense: NamedVectors
) -> models.PointStruct:
    tags = tag_vector(tags_of(stored_record(payload)), by_rarity=collection.tag_idf)
    vectors = dense if tags is None else {**dense, TAGS_VECTOR: tags}
    # Built without validation: 1280 floats that were checked when they were computed.
    return models.PointStruct.model_construct(id=id_, vector=vectors, payload=payload)
