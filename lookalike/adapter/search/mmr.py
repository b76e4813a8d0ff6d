"""Maximal marginal relevance: near to the query, but not near to what was chosen before.

Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and
Producing Summaries", SIGIR 1998.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def diverse(
    vectors: Sequence[Sequence[float]],
    distances: Sequence[float],
    diversity: float,
    before: Sequence[Sequence[float]] = (),
) -> list[int]:
    """Indices of the candidates in the order of their choice.

    Each choice has the largest `(1 - diversity) * relevance - diversity * redundancy`: relevance
    is one minus the distance from the query, redundancy the largest cosine with one chosen before,
    those of `before` included. With `diversity` 0 the order is that of the distances.
    """
    if not vectors:
        return []
    rows = _unit(vectors)
    relevance = (1.0 - diversity) * (1.0 - np.asarray(distances, dtype=np.float64))
    redundancy = (rows @ _unit(before).T).max(axis=1) if before else np.full(len(rows), -1.0)
    left = np.ones(len(rows), dtype=bool)
    chosen: list[int] = []
    for _ in rows:
        gain = np.where(left, relevance - diversity * redundancy, -np.inf)
        best = int(np.argmax(gain))
        chosen.append(best)
        left[best] = False
        redundancy = np.maximum(redundancy, rows @ rows[best])
    return chosen


def _unit(vectors: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    rows = np.asarray(vectors, dtype=np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
