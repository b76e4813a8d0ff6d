"""What may reach the engine: every value is checked here first.

The engine trusts its caller. A sparse vector of unequal lists, a payload nested too deep or a NaN
in a range make it panic, lose later writes or write a log that it cannot read again; a NaN vector
is stored and never found. So nothing is handed on unchecked, and a batch is checked as a whole
before any of it is applied. The types of `messages` have been checked before. The texts name what
is wrong and never repeat a value: values belong to users.
"""

from __future__ import annotations

import math
import re
import uuid
from typing import Any

import msgspec
import numpy as np

from lookalike.adapter.engines.embedded.condition_messages import PlainPointId
from lookalike.adapter.engines.embedded.messages import PointPayload, SparseVector

EdgeId = int | str | uuid.UUID
"""An id as the engine takes it: an unsigned integer of 64 bits, or a UUID."""

MAX_PAYLOAD_DEPTH = 32
MAX_PAYLOAD_BYTES = 1 << 20
MAX_LIST_LENGTH = 100_000
"""Ids or values in one condition or request."""
MAX_SPARSE = 65_536
INT64 = range(-(2**63), 2**63)
UINT32 = range(2**32)
FLOAT32_MAX = float(np.finfo(np.float32).max)

_PATH = re.compile(r'(?:[\w-]+|"[^"\\]+")(?:\[\d*\])*(?:\.(?:[\w-]+|"[^"\\]+")(?:\[\d*\])*)*')


class Refused(Exception):
    """The request is not one that the engine can take; the text says why."""


class PointMissing(Exception):
    """A point that the request names is not there."""


def check_point_id(value: PlainPointId) -> EdgeId:
    """An id in its usual spelling."""
    if isinstance(value, str):
        if len(value) > 45:
            raise Refused("a point id is neither an integer nor a UUID")
        try:
            return str(uuid.UUID(value))
        except ValueError:
            raise Refused("a point id is neither an integer nor a UUID") from None
    if not 0 <= value < 2**64:
        raise Refused("a point id is neither an integer nor a UUID")
    return value


def check_point_ids(values: list[PlainPointId]) -> list[EdgeId]:
    if len(values) > MAX_LIST_LENGTH:
        raise Refused("point ids must be a list of bounded length")
    return [check_point_id(value) for value in values]


def check_path(value: str) -> str:
    """A payload path in the engine's grammar: `a.b`, `a[].b`, `a[0]`, `"any key".b`."""
    if len(value) > 4096 or not _PATH.fullmatch(value):
        raise Refused("a payload path is not well formed")
    return value


def check_finite(value: float) -> float:
    if not math.isfinite(value):
        raise Refused("a number is not finite")
    return value


def check_int64(value: int) -> int:
    if value not in INT64:
        raise Refused("an integer does not fit 64 bits")
    return value


def check_dense(values: list[bytes], size: int, *, unit: bool) -> list[list[float]]:
    """Dense vectors as the lists that the engine reads fastest; `unit` when their length must not
    be 0 (cosine).

    All of them go through one matrix: a loop over the vectors costs three times as much.
    """
    if any(len(value) != 4 * size for value in values):
        raise Refused("a vector does not have the dimension of its collection")
    matrix = np.frombuffer(b"".join(values), "<f4").reshape(len(values), size)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", matrix, matrix)
    if not np.isfinite(squares).all():
        raise Refused("a vector is not finite, or too long for float32")
    if unit and not (squares > 0).all():
        raise Refused("a vector of length 0 has no direction: cosine cannot compare it")
    rows: list[list[float]] = matrix.tolist()
    return rows


def check_sparse(vector: SparseVector) -> tuple[list[int], list[float]]:
    """Indices and values of a sparse vector, sorted by index."""
    indices, values = vector.indices, vector.values
    if len(indices) != len(values) or len(indices) > MAX_SPARSE:
        raise Refused("a sparse vector needs as many values as indices")
    if len(set(indices)) != len(indices):
        raise Refused("a sparse vector names an index twice")
    if any(index not in UINT32 for index in indices):
        raise Refused("an integer is missing or out of bounds")
    if not all(abs(value) <= FLOAT32_MAX for value in values):  # NaN is not, either.
        raise Refused("a value of a sparse vector does not fit float32")
    pairs = sorted(zip(indices, values, strict=True))
    return [index for index, _ in pairs], [value for _, value in pairs]


def check_payload(value: PointPayload) -> PointPayload:
    """A payload that the engine can keep and give back: bounded, and JSON all the way down."""
    _check_json(value, MAX_PAYLOAD_DEPTH)
    if len(msgspec.json.encode(value)) > MAX_PAYLOAD_BYTES:
        raise Refused("a payload is too large")
    return value


def _check_json(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if value not in INT64:
            raise Refused("an integer in a payload does not fit 64 bits")
    elif kind is float:
        if not math.isfinite(value):
            raise Refused("a number in a payload is not finite")
    elif kind is dict or kind is list:
        if depth == 0:
            raise Refused("a payload is nested too deep")
        if kind is dict:
            if not all(type(key) is str for key in value):
                raise Refused("a key in a payload is not a string")
            value = value.values()
        for item in value:
            _check_json(item, depth - 1)
    else:
        raise Refused("a value in a payload is not JSON")
