"""What an API process and the worker of the embedded engine say to each other.

One struct for each method. A request names the type of its result, and both sides encode and decode
by these types: what does not have this form is a `msgspec.ValidationError` at one place, before any
of it is used. Limits of a number stand here; what depends on a collection, or on a request as a
whole, is checked by `worker.validation`.

Dense vectors travel as float32 bytes: 4 bytes a number instead of 9, and the worker checks them
without making Python objects of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args

import msgspec
from msgspec import Meta, Struct

from lookalike.adapter.engines.embedded.condition_messages import Filter, PlainPointId
from lookalike.adapter.engines.engine_facts import MAX_LIMIT

MAX_DIMENSION = 65_536

Limit = Annotated[int, Meta(ge=0, le=MAX_LIMIT)]
PointPayload = dict[str, Any]
Distance = Literal["Cosine", "Euclid", "Dot", "Manhattan"]
IndexKind = Literal["keyword", "float"]

R = TypeVar("R")


class SparseVector(Struct, frozen=True, array_like=True, gc=False):
    indices: list[int]
    values: list[float]


Vectors = dict[str, bytes | SparseVector]
"""The vectors of a point by name; dense ones are float32 bytes."""


# Queries: https://qdrant.tech/documentation/concepts/search/


class ByDenseVector(Struct, frozen=True, array_like=True, tag="vector"):
    vector: bytes


class BySparseVector(Struct, frozen=True, array_like=True, tag="sparse"):
    vector: SparseVector


class ByPoint(Struct, frozen=True, array_like=True, tag="point"):
    """The neighbours of a stored point, which is not among them."""

    id: PlainPointId


class RandomSample(Struct, frozen=True, array_like=True, tag="sample"):
    pass


class SearchParams(Struct, frozen=True, array_like=True):
    exact: bool
    ignore_quantization: bool
    oversampling: float | None
    """None leaves it to the worker."""


class Prefetch(Struct, frozen=True, array_like=True):
    """The candidates among which a query searches."""

    query: ByDenseVector | BySparseVector
    using: str
    filter: Filter | None
    params: SearchParams | None
    limit: Limit
    score_threshold: float | None


PayloadSelection = bool | list[str]
"""All, nothing, or what is at these paths."""
VectorSelection = bool | list[str]
"""All, none, or those of these names."""


class PointQuery(Struct, frozen=True, array_like=True):
    query: ByDenseVector | BySparseVector | ByPoint | RandomSample | None
    """None answers points in the order of their ids."""
    using: str
    prefetch: list[Prefetch]
    filter: Filter | None
    params: SearchParams | None
    limit: Limit
    offset: Limit
    score_threshold: float | None
    with_payload: PayloadSelection
    with_vectors: VectorSelection


# Results


class FoundPoint(Struct, frozen=True, array_like=True):
    id: PlainPointId
    payload: PointPayload | None
    vectors: Vectors | None


class ScoredHit(Struct, frozen=True, array_like=True):
    id: PlainPointId
    score: float
    payload: PointPayload | None
    vectors: Vectors | None


class PointPage(Struct, frozen=True, array_like=True):
    points: list[FoundPoint]
    next: PlainPointId | None
    """Where the next page begins; None after the last one."""


class FacetCount(Struct, frozen=True, array_like=True):
    value: str | int | bool
    count: int


class VectorParams(Struct, frozen=True):
    """Also kept in the manifest of a collection."""

    size: Annotated[int, Meta(ge=1, le=MAX_DIMENSION)]
    distance: Distance


class IndexState(Struct, frozen=True):
    kind: str
    points: int
    """Those with a value in the index."""


class CollectionState(Struct, frozen=True):
    points_count: int
    indexed_vectors_count: int
    segments_count: int
    payload_indexes: dict[str, IndexState]
    vectors: dict[str, VectorParams]
    sparse_vectors: list[str]
    metadata: dict[str, Any]


class EngineHealth(Struct, frozen=True):
    """What is not as it should be; `ready` is true when this is answered at all."""

    ready: bool
    collections: int
    broken: dict[str, str]
    """Collection -> what is wrong with its files."""
    postponed: dict[str, str]
    """Collection -> why it cannot be loaded now, though its files are whole."""
    rebuilding: list[str]
    logs_aside: dict[str, list[str]]
    """Collection -> logs that could not be read."""
    disk_full: bool
    """Whether nothing is added, so that the disk keeps its reserve."""
    disk_free_mb: int


# Requests


class WorkerRequest(Struct, Generic[R], array_like=True):
    """A request whose result is an R."""


class CheckRoom(WorkerRequest[None], tag="check_room"):
    """Fails with DiskFull where nothing may be added now."""


class GetHealth(WorkerRequest[EngineHealth], tag="health"):
    pass


class GetCollections(WorkerRequest[list[str]], tag="collections"):
    pass


class GetAliases(WorkerRequest[dict[str, str]], tag="aliases"):
    """Alias -> collection."""


class GetAliased(WorkerRequest[dict[str, tuple[str, dict[str, Any]]]], tag="aliased"):
    """Alias -> collection and its metadata."""


class GetCollection(WorkerRequest[CollectionState], tag="collection"):
    collection: str


class CountPoints(WorkerRequest[int], tag="count"):
    collection: str
    filter: Filter | None


class CountValues(WorkerRequest[list[FacetCount]], tag="facet"):
    collection: str
    key: str
    filter: Filter | None
    limit: Limit


class RetrievePoints(WorkerRequest[list[FoundPoint]], tag="retrieve"):
    collection: str
    ids: list[PlainPointId]
    with_payload: PayloadSelection
    with_vectors: VectorSelection


class ScrollPoints(WorkerRequest[PointPage], tag="scroll"):
    collection: str
    filter: Filter | None
    limit: Limit
    offset: PlainPointId | None
    with_payload: PayloadSelection
    with_vectors: VectorSelection


class QueryPoints(WorkerRequest[list[list[ScoredHit]]], tag="query"):
    collection: str
    queries: list[PointQuery]


class CreateCollection(WorkerRequest[None], tag="create_collection"):
    collection: str
    vectors: dict[str, VectorParams]
    sparse_vectors: list[str]
    metadata: dict[str, Any]


class DeleteCollection(WorkerRequest[None], tag="delete_collection"):
    collection: str


class RestoreCollection(WorkerRequest[None], tag="restore_collection"):
    collection: str


class UpdateCollection(WorkerRequest[None], tag="update_collection"):
    """Merges metadata; null removes a key."""

    collection: str
    metadata: dict[str, Any]


class PointAliases(WorkerRequest[None], tag="point_aliases"):
    """Lets aliases stand for collections from now on: all of them or none."""

    targets: dict[str, str]


class CreateVectorName(WorkerRequest[None], tag="create_vector"):
    collection: str
    vector: str
    params: VectorParams


class DeleteVectorName(WorkerRequest[None], tag="delete_vector"):
    collection: str
    vector: str


class CreatePayloadIndex(WorkerRequest[None], tag="create_index"):
    collection: str
    path: str
    kind: IndexKind


class DeletePayloadIndex(WorkerRequest[None], tag="delete_index"):
    collection: str
    path: str


class NewPoint(Struct, frozen=True, array_like=True, gc=False):
    id: PlainPointId
    vectors: Vectors
    payload: PointPayload


class UpsertPoints(WorkerRequest[None], tag="upsert"):
    """Replaces whole points. `insert_only` leaves those that are there; with `update_only` only
    those are written that are there and match it."""

    collection: str
    points: list[NewPoint]
    insert_only: bool
    update_only: Filter | None = None


class DeletePoints(WorkerRequest[None], tag="delete"):
    collection: str
    ids: list[PlainPointId]


class NewVectors(Struct, frozen=True, array_like=True, gc=False):
    id: PlainPointId
    vectors: Vectors


class UpdateVectors(Struct, frozen=True, array_like=True, tag="update_vectors"):
    """Sets some vectors of points that match the filter."""

    points: list[NewVectors]
    filter: Filter | None


class DeleteMatching(Struct, frozen=True, array_like=True, tag="delete_matching"):
    filter: Filter


class OverwritePayload(Struct, frozen=True, array_like=True, tag="overwrite_payload"):
    payload: PointPayload
    filter: Filter


PointChange = UpdateVectors | DeleteMatching | OverwritePayload


class ChangePoints(WorkerRequest[None], tag="change"):
    """Changes in order; all of them are checked before the first is applied."""

    collection: str
    changes: list[PointChange]


REQUESTS: tuple[type[WorkerRequest[Any]], ...] = tuple(WorkerRequest.__subclasses__())

# `X | Y`, which ruff prefers, cannot be written for a tuple of types.
_decode_request = msgspec.msgpack.Decoder(Union[REQUESTS]).decode  # noqa: UP007


def decode_request(body: bytes) -> WorkerRequest[Any]:
    """Raises msgspec.DecodeError, or its subclass ValidationError, for what is no request."""
    try:
        request: WorkerRequest[Any] = _decode_request(body)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(type(error).__name__) from None
    return request


# Answers


ErrorKind = Literal[
    "CollectionNotFound", "RecordsNotFound", "EngineFailed", "EngineUnavailable", "DiskFull"
]
"""The classes of `adapter.errors` that an answer stands for."""


class Done(Struct, Generic[R], frozen=True, array_like=True, tag=True):
    result: R


class Failed(Struct, frozen=True, array_like=True, tag=True):
    kind: ErrorKind
    text: str


encode_answer = msgspec.msgpack.Encoder().encode
"""`Done` or `Failed` -> bytes."""


def _answer_decoder(request: type[WorkerRequest[Any]]) -> msgspec.msgpack.Decoder[Any]:
    # Neither the bases that were written nor a union made at run time are known to mypy.
    (base,) = request.__orig_bases__  # type: ignore[attr-defined]
    (result,) = get_args(base)
    return msgspec.msgpack.Decoder(Done[result] | Failed)  # type: ignore[valid-type]


_ANSWERS = {request: _answer_decoder(request) for request in REQUESTS}


def decode_answer(request: type[WorkerRequest[R]], body: bytes) -> Done[R] | Failed:
    """The answer to a request of this type."""
    answer: Done[R] | Failed = _ANSWERS[request].decode(body)
    return answer
