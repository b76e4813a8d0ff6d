"""Collection configurations and payload indexes: the plain REST form -> `qdrant_edge`.

The client's names are snake_case, the engine's enum members CamelCase; one rule covers them all.
"""

from __future__ import annotations

from typing import Any

import msgspec
import qdrant_edge as edge

from lookalike.adapter.engines.embedded.worker import validation
from lookalike.adapter.engines.embedded.worker.validation import Refused

Plain = dict[str, Any]

NEVER_KB = 1_000_000_000
"""An indexing threshold that no collection reaches: search flat, and let optimise() only vacuum."""

HNSW_M, HNSW_EF_CONSTRUCT = 16, 100
HNSW_FULL_SCAN_KB = 40_000
"""A filter that leaves less than this (20,000 vectors of 512 dimensions) is searched exactly."""


class Schema(msgspec.Struct, frozen=True):
    """What a collection holds, in the plain form of `create_collection`."""

    vectors: dict[str, Plain]
    sparse_vectors: dict[str, Plain]
    hnsw_config: Plain = {}
    quantization_config: Plain | None = None

    @property
    def elements_per_point(self) -> int:
        """Numbers in the dense vectors of one point."""
        return sum(params["size"] for params in self.vectors.values())

    @property
    def largest_vector(self) -> int:
        """Numbers that a search looks at for one point, at the most."""
        return max(int(params["size"]) for params in self.vectors.values())


def member(enumeration: Any, name: str | None) -> Any:
    """`bits4` -> TurboQuantBitSize.Bits4, `bits1_5` -> Bits1_5, `Cosine` -> Distance.Cosine."""
    if name is None:
        return None
    text = validation.text(name)
    for spelling in (text.title().replace("_", ""), text[:1].upper() + text[1:], text.upper()):
        found = getattr(enumeration, spelling, None)
        if found is not None and not spelling.startswith("_"):
            return found
    raise Refused("an option of the collection has an unknown value")


def edge_config(
    schema: Schema, *, indexing_threshold_kb: int = NEVER_KB, threads: int = 1
) -> edge.EdgeConfig:
    """The engine's configuration of one shard; `threads` build a graph."""
    return edge.EdgeConfig(
        vectors={name: _dense_params(p, schema) for name, p in schema.vectors.items()},
        sparse_vectors={n: _sparse_params(p) for n, p in schema.sparse_vectors.items()} or None,
        hnsw_config=_hnsw({"max_indexing_threads": threads} | schema.hnsw_config),
        optimizers=edge.EdgeOptimizersConfig(
            indexing_threshold=indexing_threshold_kb,
            # Called only by the rebuild, which has decided already that it pays.
            deleted_threshold=0.001,
            vacuum_min_vector_number=1,
        ),
    )


def add_vector(shard: edge.EdgeShard, name: str, schema: Schema) -> None:
    """Adds a dense vector of the schema to a shard. It is searched without quantization until the
    shard is built anew."""
    params = _dense_params(schema.vectors[name], schema)
    shard.update(
        edge.UpdateOperation.create_dense_vector(
            name, params.size, params.distance, datatype=params.datatype
        )
    )


def _dense_params(plain: Plain, schema: Schema) -> edge.EdgeVectorParams:
    if plain.get("multivector_config") is not None:
        raise Refused("multivectors are not supported")
    distance = member(edge.Distance, plain.get("distance"))
    default = schema.quantization_config
    if default is None and distance != edge.Distance.Manhattan:
        # TurboQuant rotates the space, and a rotation does not keep Manhattan distances.
        default = {"turbo": {"bits": "bits4", "memory": "pinned"}}
    return edge.EdgeVectorParams(
        validation.integer(plain.get("size"), low=1, high=validation.MAX_DIMENSION),
        distance,
        on_disk=plain.get("on_disk"),
        memory=member(edge.Memory, plain.get("memory")),
        datatype=member(edge.VectorStorageDatatype, plain.get("datatype")),
        hnsw_config=_hnsw(plain["hnsw_config"]) if plain.get("hnsw_config") else None,
        quantization_config=_quantization(plain.get("quantization_config") or default),
    )


def _sparse_params(plain: Plain) -> edge.EdgeSparseVectorParams:
    index = plain.get("index") or {}
    return edge.EdgeSparseVectorParams(
        modifier=member(edge.Modifier, plain.get("modifier")),
        full_scan_threshold=index.get("full_scan_threshold"),
        on_disk=index.get("on_disk"),
    )


def _hnsw(plain: Plain) -> edge.HnswIndexConfig:
    return edge.HnswIndexConfig(
        plain.get("m", HNSW_M),
        plain.get("ef_construct", HNSW_EF_CONSTRUCT),
        plain.get("full_scan_threshold", HNSW_FULL_SCAN_KB),
        plain.get("max_indexing_threads", 0),
        payload_m=plain.get("payload_m"),
        memory=member(edge.Memory, plain.get("memory")),
    )


def _quantization(plain: Plain | None) -> Any:
    if plain is None:
        return None
    ((kind, params),) = plain.items()
    if kind not in _QUANTIZATIONS:
        raise Refused("the kind of quantization is not known")
    ram, memory = params.get("always_ram"), member(edge.Memory, params.get("memory"))
    return _QUANTIZATIONS[kind](params, ram, memory)


_QUANTIZATIONS: dict[str, Any] = {
    "turbo": lambda params, ram, memory: edge.TurboQuantQuantizationConfig(
        always_ram=ram, memory=memory, bits=member(edge.TurboQuantBitSize, params.get("bits"))
    ),
    "scalar": lambda params, ram, memory: edge.ScalarQuantizationConfig(
        edge.ScalarType.Int8, params.get("quantile"), ram, memory
    ),
    "binary": lambda params, ram, memory: edge.BinaryQuantizationConfig(
        always_ram=ram,
        memory=memory,
        encoding=member(edge.BinaryQuantizationEncoding, params.get("encoding")),
    ),
    "product": lambda params, ram, memory: edge.ProductQuantizationConfig(
        member(edge.CompressionRatio, params.get("compression")), ram, memory
    ),
}

_INDEX_PARAMS: dict[str, Any] = {
    "keyword": edge.KeywordIndexParams,
    "integer": edge.IntegerIndexParams,
    "float": edge.FloatIndexParams,
    "geo": edge.GeoIndexParams,
    "bool": edge.BoolIndexParams,
    "datetime": edge.DatetimeIndexParams,
    "uuid": edge.UuidIndexParams,
    "text": edge.TextIndexParams,
}
_INDEX_ENUMS = {"memory": edge.Memory, "tokenizer": edge.TokenizerType}
_INDEX_PLAIN = {
    *("is_tenant", "on_disk", "enable_hnsw", "prefix", "nested", "lookup", "range"),
    *("is_principal", "min_token_len", "max_token_len", "lowercase", "ascii_folding"),
    *("phrase_matching", "scoring"),
}


def index_params(plain: str | Plain) -> Any:
    """The engine's parameters of a payload index from its type, or from its REST parameters."""
    if isinstance(plain, str):
        plain = {"type": plain}
    options = {name: value for name, value in plain.items() if name != "type"}
    kind = plain.get("type")
    if kind not in _INDEX_PARAMS or not options.keys() <= _INDEX_PLAIN | _INDEX_ENUMS.keys():
        raise Refused("a payload index has an unknown type or option")
    for name, enumeration in _INDEX_ENUMS.items():
        if name in options:
            options[name] = member(enumeration, options[name])
    try:
        return _INDEX_PARAMS[kind](**options)
    except TypeError:
        raise Refused("a payload index has an option of another type of index") from None
