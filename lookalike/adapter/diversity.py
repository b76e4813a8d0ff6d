"""Maximal marginal relevance: near to the query, but not near to what was chosen before.

Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and
Producing Summaries", SIGIR 1998.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def diverse(
    vectors: Sequence[Sequence[float]], distances: Sequence[float], diversity: float, k: int
) -> list[int]:
    """Indices of k candidates in the order of their choice, fewer if there are fewer.

    Each choice has the largest `(1 - diversity) * relevance - diversity * redundancy`: relevance
    is one minus the distance from the query, redundancy the largest cosine with one chosen before.
    With `diversity` 0 the order is that of the distances.
    """
    if not vectors:
        return []
    rows = np.asarray(vectors, dtype=np.float32)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    relevance = (1.0 - diversity) * (1.0 - np.asarray(distances, dtype=np.float64))
    redundancy = np.full(len(rows), -1.0)
    left = np.ones(len(rows), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < min(k, len(rows)):
        gain = np.where(left, relevance - diversity * redundancy, -np.inf)
        best = int(np.argmax(gain))
        chosen.append(best)
        left[best] = False
        redundancy = np.maximum(redundancy, rows @ rows[best])
    return chosen
