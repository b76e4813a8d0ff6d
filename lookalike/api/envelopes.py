"""Outcomes of the adapter in the provider's envelope, with its codes and texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from litestar import Response
from msgspec import UNSET

from lookalike.adapter.collections.collection_settings import Collection
from lookalike.adapter.errors import CapacityExceeded, DuplicateRecord, NearDuplicate, RecordRefused
from lookalike.adapter.records.batch_outcome import Outcome
from lookalike.adapter.records.image_sources import Vector
from lookalike.adapter.records.points import Record, without_pixels
from lookalike.adapter.records.service import Found
from lookalike.adapter.search.nearest import Hits
from lookalike.adapter.search.query_vectors import Described
from lookalike.adapter.search.service import RankedRecords
from lookalike.api import ignored_fields
from lookalike.api.schemas import Answer, ModelAnswer, Status

OK = (200, "OK")
OK_STATUS = {"code": 200, "text": "OK"}
RECORDS_FOUND = (205, "records found")
SOME_NOT_FOUND = (206, "some of the records not found")
INSERTED = (210, "records inserted")
SOME_INSERTED = (211, "some records inserted")
DELETED = (220, "records deleted")
NONE_INSERTED = (400, "no record inserted")
NONE_ACCEPTED = (400, "no record accepted")
NOT_FOUND = (404, "records not found")
DUPLICATES = (411, "record duplicate")
FULL = (CapacityExceeded.CODE, "hard capacity exceeded")


class Clock:
    """Started when a request is handled; answers the milliseconds since then.

    The statistics of an answer also name the fields of the request that were ignored.
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._ignored = ignored_fields.noted()

    def statistics(self, *, ignored: Sequence[str] = (), **more: Any) -> dict[str, Any]:
        """`ignored`: what was, beside fields that the method does not know."""
        if names := [*self._ignored, *ignored]:
            more["ignored"] = names
        return {"OperationTime": round((time.perf_counter() - self._start) * 1000), **more}


def answer(
    code: tuple[int, str],
    records: Sequence[Record],
    clock: Clock,
    *,
    refused: Sequence[tuple[Record, RecordRefused]] = (),
    **statistics: Any,
) -> Answer:
    return Answer(
        status=Status(*code),
        statistics=clock.statistics(**statistics),
        answer_records=list(records),
        answer_count=len(records),
        skipped_records=[_skipped(record, why) for record, why in refused] or UNSET,
    )


def _skipped(record: Record, why: RecordRefused) -> Record:
    """The record without its pixels, so that a loader can write it to its error file."""
    reason: Record = {"status": {"code": why.code, "text": why.text}}
    if isinstance(why, NearDuplicate):
        reason["near_duplicates"] = [{"_id": id_} for id_, _ in why.near]
        reason["distances"] = [distance for _, distance in why.near]
    return without_pixels(record) | {"_reason": reason}


def inserted(outcome: Outcome[Record], clock: Clock) -> Answer:
    reasons = [why for _, why in outcome.refused]
    if not reasons:
        code = INSERTED
    elif outcome.done:
        code = SOME_INSERTED
    elif all(why.code == DuplicateRecord.CODE for why in reasons):
        code = DUPLICATES
    elif any(isinstance(why, CapacityExceeded) for why in reasons):
        code = FULL
    else:
        code = NONE_INSERTED
    return answer(code, outcome.done, clock, refused=outcome.refused)


def found(named: Found, clock: Clock, *, all_found: tuple[int, str]) -> Answer:
    """For methods that name records by `_id`: all, some, or none of them were there.

    What is missing is told by the code alone: the official client counts everything in
    `skipped_records` as an error. A record that is refused is one.
    """
    if not named.missing and not named.refused:
        code = all_found
    elif named.records:
        code = SOME_NOT_FOUND
    else:
        code = NOT_FOUND if named.missing else NONE_ACCEPTED
    more = {"pictures_not_read": named.unread} if named.unread else {}
    return answer(code, named.records, clock, refused=named.refused, **more)


def hits(outcome: Hits, clock: Clock) -> Answer:
    statistics = answered_by(outcome.collection) | residual(outcome.residual_records)
    result = answer(OK, outcome.records, clock, ignored=outcome.ignored, **statistics)
    result.answer_distances = outcome.distances
    return result


def ranked(outcome: RankedRecords, clock: Clock) -> Answer:
    statistics = answered_by(outcome.collection)
    result = answer(OK, outcome.records, clock, refused=outcome.refused, **statistics)
    result.answer_distances = outcome.distances
    return result


def described(
    records: Sequence[Described], show: Callable[[Vector], dict[str, Any]]
) -> list[Record]:
    """The records with a status of their own; `show` makes the fields of those with a vector."""
    return [
        {**one.record, "_status": _status(one.vector)}
        | ({} if isinstance(one.vector, RecordRefused) else show(one.vector))
        for one in records
    ]


def _status(vector: Vector | RecordRefused) -> dict[str, Any]:
    if isinstance(vector, RecordRefused):
        return {"code": vector.code, "text": vector.text}
    return OK_STATUS


def of_model(records: list[Record], clock: Clock, **statistics: Any) -> ModelAnswer:
    return ModelAnswer(
        records=records, status=Status(*OK), statistics=clock.statistics(**statistics)
    )


def answered_by(collection: Collection | None) -> dict[str, Any]:
    """Statistics that name the vector of the answer, where the collection has two."""
    if collection is None or collection.second_vector is None:
        return {}
    return {"vector": collection.vector, "embedder": collection.embedder}


def residual(records: int) -> dict[str, Any]:
    """Statistics of a filter that the engine could not decide alone; nothing where it could."""
    return {"residual_records": records} if records else {}


def mirror_status(response: Response[Any]) -> Response[Any]:
    """Repeats codes of 400 and up in the HTTP status, where the settings ask for it."""
    body = response.content
    if isinstance(body, Answer) and body.status.code >= 400:
        response.status_code = body.status.code
    return response
