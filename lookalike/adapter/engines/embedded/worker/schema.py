"""What a collection holds, and the configuration of the engine that follows from it."""

from __future__ import annotations

from typing import Any

import msgspec
import qdrant_edge as edge

from lookalike.adapter.engines.embedded.messages import VectorParams
from lookalike.adapter.engines.embedded.worker.validation import Refused

NEVER_KB = 1_000_000_000
"""An indexing threshold that no collection reaches: search flat, and let optimise() only vacuum."""

HNSW_M, HNSW_EF_CONSTRUCT = 16, 100
HNSW_FULL_SCAN_KB = 40_000
"""A filter that leaves less than this (20,000 vectors of 512 dimensions) is searched exactly."""


class Schema(msgspec.Struct, frozen=True):
    """The vectors of a collection by name."""

    vectors: dict[str, VectorParams]
    sparse_vectors: dict[str, dict[str, Any]]
    """Nothing of them can be chosen: each name has an empty object."""

    @property
    def names(self) -> set[str]:
        return self.vectors.keys() | self.sparse_vectors.keys()

    @property
    def elements_per_point(self) -> int:
        """Numbers in the dense vectors of one point."""
        return sum(params.size for params in self.vectors.values())

    @property
    def largest_vector(self) -> int:
        """Numbers that a search looks at for one point, at the most."""
        return max(params.size for params in self.vectors.values())

    def less_is_nearer(self, vector: str) -> bool:
        """Whether the scores of a vector are distances."""
        params = self.vectors.get(vector)
        return params is not None and params.distance in ("Euclid", "Manhattan")


_DISTANCES = {
    "Cosine": edge.Distance.Cosine,
    "Euclid": edge.Distance.Euclid,
    "Dot": edge.Distance.Dot,
    "Manhattan": edge.Distance.Manhattan,
}

_INDEXES: dict[str, Any] = {"keyword": edge.KeywordIndexParams, "float": edge.FloatIndexParams}


def edge_config(
    schema: Schema, *, indexing_threshold_kb: int = NEVER_KB, threads: int = 1
) -> edge.EdgeConfig:
    """The engine's configuration of one shard; `threads` build a graph."""
    return edge.EdgeConfig(
        vectors={name: _dense_params(params) for name, params in schema.vectors.items()},
        sparse_vectors={name: edge.EdgeSparseVectorParams() for name in schema.sparse_vectors}
        or None,
        hnsw_config=edge.HnswIndexConfig(HNSW_M, HNSW_EF_CONSTRUCT, HNSW_FULL_SCAN_KB, threads),
        optimizers=edge.EdgeOptimizersConfig(
            indexing_threshold=indexing_threshold_kb,
            # Called only by the rebuild, which has decided already that it pays.
            deleted_threshold=0.001,
            vacuum_min_vector_number=1,
        ),
    )


def add_vector(shard: edge.EdgeShard, name: str, params: VectorParams) -> None:
    """Adds a dense vector to a shard. It is searched without quantization until the shard is built
    anew."""
    shard.update(
        edge.UpdateOperation.create_dense_vector(name, params.size, _DISTANCES[params.distance])
    )


def _dense_params(params: VectorParams) -> edge.EdgeVectorParams:
    quantization = None
    # TurboQuant rotates the space, and a rotation does not keep Manhattan distances.
    if params.distance != "Manhattan":
        quantization = edge.TurboQuantQuantizationConfig(
            bits=edge.TurboQuantBitSize.Bits4, memory=edge.Memory.Pinned
        )
    return edge.EdgeVectorParams(
        params.size, _DISTANCES[params.distance], quantization_config=quantization
    )


def index_params(kind: str) -> Any:
    """The engine's parameters of a payload index of this kind."""
    if kind not in _INDEXES:
        raise Refused("a payload index has an unknown type or option")
    return _INDEXES[kind]()
