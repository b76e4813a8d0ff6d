"""What may reach the engine: every value is checked here first.

The engine trusts its caller. A sparse vector of unequal lists, a payload nested too deep or a NaN
in a range make it panic, lose later writes or write a log that it cannot read again; a NaN vector
is stored and never found. So nothing is handed on unchecked, and a batch is checked as a whole
before any of it is applied. The texts name what is wrong and never repeat a value: values belong
to users.
"""

from __future__ import annotations

import math
import re
import uuid
from typing import Any

import msgspec
import numpy as np

PointId = int | str | uuid.UUID

MAX_PAYLOAD_DEPTH = 32
MAX_PAYLOAD_BYTES = 1 << 20
MAX_FILTER_DEPTH = 32
MAX_CONDITIONS = 4000
MAX_LIMIT = 100_000
MAX_VALUES = 100_000
"""Ids or values in one condition or selector."""
MAX_SPARSE = 65_536
MAX_DIMENSION = 65_536
INT64 = range(-(2**63), 2**63)
FLOAT32_MAX = float(np.finfo(np.float32).max)

_PATH = re.compile(r'(?:[\w-]+|"[^"\\]+")(?:\[\d*\])*(?:\.(?:[\w-]+|"[^"\\]+")(?:\[\d*\])*)*')


class Refused(Exception):
    """The request is not one that the engine can take; the text says why."""


class Missing(Exception):
    """A point that the request names is not there."""


def point_id(value: Any) -> PointId:
    """An id as the engine takes it: an unsigned 64-bit integer or a UUID in its usual spelling."""
    if isinstance(value, str):
        if len(value) > 45:
            raise Refused("a point id is neither an integer nor a UUID")
        try:
            return str(uuid.UUID(value))
        except ValueError:
            raise Refused("a point id is neither an integer nor a UUID") from None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64:
        raise Refused("a point id is neither an integer nor a UUID")
    return value


def point_ids(values: Any) -> list[PointId]:
    if not isinstance(values, list) or len(values) > MAX_VALUES:
        raise Refused("point ids must be a list of bounded length")
    return [point_id(value) for value in values]


def path(value: Any) -> str:
    """A payload path in the engine's grammar: `a.b`, `a[].b`, `a[0]`, `"any key".b`."""
    if not isinstance(value, str) or len(value) > 4096 or not _PATH.fullmatch(value):
        raise Refused("a payload path is not well formed")
    return value


def number(value: Any) -> float:
    """A finite number (an integer too large for a double is not one)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused("a number was expected")
    if isinstance(value, int) and value not in INT64:
        raise Refused("an integer does not fit 64 bits")
    if not math.isfinite(value):
        raise Refused("a number is not finite")
    return float(value)


def integer(value: Any, *, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused("an integer is missing or out of bounds")
    return value


def limit(value: Any, *, default: int = 10) -> int:
    return default if value is None else integer(value, low=0, high=MAX_LIMIT)


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("a string was expected")
    return value


def dense(value: bytes | list[float], size: int, *, unit: bool) -> list[float]:
    """One dense vector; `unit` when its length must not be 0 (cosine)."""
    return dense_rows([value], size, unit=unit)[0]


def dense_rows(values: list[bytes | list[float]], size: int, *, unit: bool) -> list[list[float]]:
    """Dense vectors, float32 bytes or lists of numbers, as the lists that the engine reads fastest.

    All of them go through one matrix: a loop over the vectors costs three times as much.
    """
    try:
        parts = [v if isinstance(v, bytes) else np.array(v, "<f4").tobytes() for v in values]
    except (TypeError, ValueError, OverflowError):
        raise Refused("a vector is not a list of numbers") from None
    if any(len(part) != 4 * size for part in parts):
        raise Refused("a vector does not have the dimension of its collection")
    matrix = np.frombuffer(b"".join(parts), "<f4").reshape(len(parts), size)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", matrix, matrix)
    if not np.isfinite(squares).all():
        raise Refused("a vector is not finite, or too long for float32")
    if unit and not (squares > 0).all():
        raise Refused("a vector of length 0 has no direction: cosine cannot compare it")
    rows: list[list[float]] = matrix.tolist()
    return rows


def sparse(value: Any) -> tuple[list[int], list[float]]:
    """Indices and values of a sparse vector, sorted by index."""
    indices, values = value.get("indices"), value.get("values")
    if not isinstance(indices, list) or not isinstance(values, list):
        raise Refused("a sparse vector needs indices and values")
    if len(indices) != len(values) or len(indices) > MAX_SPARSE:
        raise Refused("a sparse vector needs as many values as indices")
    if len(set(indices)) != len(indices):
        raise Refused("a sparse vector names an index twice")
    pairs = sorted(
        (integer(i, low=0, high=2**32 - 1), number(v)) for i, v in zip(indices, values, strict=True)
    )
    if any(abs(v) > FLOAT32_MAX for _, v in pairs):
        raise Refused("a value of a sparse vector does not fit float32")
    return [i for i, _ in pairs], [v for _, v in pairs]


def payload(value: Any) -> dict[str, Any]:
    """A payload that the engine can keep and give back: bounded, and JSON all the way down."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused("a payload must be an object")
    _json_value(value, MAX_PAYLOAD_DEPTH)
    if len(msgspec.json.encode(value)) > MAX_PAYLOAD_BYTES:
        raise Refused("a payload is too large")
    return value


def _json_value(value: Any, depth: int) -> None:
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
            _json_value(item, depth - 1)
    else:
        raise Refused("a value in a payload is not JSON")
