"""Bytes of a record on the embedded engine: on disk, and of the worker's memory.

python -m benchmarks.sizing [records] [dimension]
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from lookalike.adapter.collections import store
from lookalike.adapter.collections.cache import CollectionCache
from lookalike.adapter.collections.collection_settings import Collection, IndexedField
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.records.image_sources import Embedded
from lookalike.adapter.records.writer import Writer

WORDS = [
    "wide",
    "red",
    "oak",
    "chair",
    "lamp",
    "table",
    "wall",
    "floor",
    "small",
    "large",
    "blue",
    "green",
    "stone",
    "brass",
    "linen",
]


def record(number: int, chance: random.Random) -> dict[str, Any]:
    """About 300 bytes of JSON, as a shop's."""
    return {
        "_id": f"sku-{number:09d}",
        "_url": f"https://images.example.com/cache/{uuid.UUID(int=number)}.jpg",
        "name": " ".join(chance.choices(WORDS, k=6)),
        "category": chance.choice(WORDS),
        "price": round(chance.uniform(1, 500), 2),
        "product_id": f"p{number // 3}",
        "tags": chance.sample(WORDS, 3),
    }


async def measure(folder: Path, records: int, dimension: int) -> None:
    supervisor = Supervisor(folder)
    supervisor.start()
    engine = await EmbeddedEngine.connect(supervisor.socket_path)
    id_ = store.new_collection_id()
    collection = Collection(
        id=id_,
        physical=store.physical_name(id_),
        name="sizing",
        type="products",
        embedder="none",
        revision="1",
        dimension=dimension,
        distance="cosine",
        created=store.now(),
        fields_to_index=tuple(IndexedField(f) for f in ("category", "price", "product_id")),
    )
    await store.create_collection(engine, collection)
    writer = Writer(engine, CollectionCache(engine))
    empty = resident(supervisor.worker_pid)
    generator, chance = np.random.default_rng(1), random.Random(1)

    async def embed(sources: Any) -> Any:
        rows = generator.standard_normal((len(sources), dimension)).astype(np.float32)
        return [Embedded(row.tolist(), "0" * 32) for row in rows]

    for begin in range(0, records, 500):
        batch = [record(n, chance) for n in range(begin, min(begin + 500, records))]
        await writer.insert(collection, batch, embed, frozenset())
    await engine.query_points(
        collection.physical, query=[0.1] * dimension, using="visual", limit=10
    )
    full = resident(supervisor.worker_pid)
    await engine.close()
    supervisor.stop()  # Flushes.
    files, log = on_disk(folder, "*"), on_disk(folder, "wal/*")
    print(f"{records} records of {dimension} dimensions, bytes of each:")
    print(
        f"  disk                  {(files - log) / records:9.0f}   (and a log of {log >> 20} MiB)"
    )
    for name in ("RssAnon", "RssFile"):
        print(f"  memory, {name:<12}  {(full[name] - empty[name]) / records:9.0f}")


QUANTIZATIONS: dict[str, Any] = {
    "none": None,
    "turbo": edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits4),
    "binary": edge.BinaryQuantizationConfig(),
}


def measure_vectors(folder: Path, kind: str) -> None:
    """Bytes on disk of a vector alone, with one quantization, by the engine without our worker."""
    records, dimension = 6_000, 1280
    params = edge.EdgeVectorParams(
        dimension, edge.Distance.Cosine, quantization_config=QUANTIZATIONS[kind]
    )
    shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors={"visual": params}))
    generator = np.random.default_rng(1)
    for begin in range(0, records, 500):
        rows = generator.standard_normal((500, dimension)).tolist()
        points = [edge.Point(begin + n, {"visual": row}, {}) for n, row in enumerate(rows)]
        shard.update(edge.UpdateOperation.upsert_points(points))
    shard.flush()
    shard.close()
    files = on_disk(folder, "*") - on_disk(folder, "wal/*")
    print(f"  {kind:<8}  {files / records:9.0f}")


def on_disk(folder: Path, pattern: str) -> int:
    """Bytes that the files take, not those that they are said to have."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob(pattern) if file.is_file())


def resident(pid: int | None) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {name: int(text.split()[0]) * 1024 for name, text in pairs if name.startswith("Rss")}


def main() -> None:
    numbers = [int(argument) for argument in sys.argv[1:]]
    records, dimension = [*numbers, *[20_000, 1280][len(numbers) :]]
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), records, dimension))
    print("a vector of 1280 dimensions alone, on disk:")
    for kind in QUANTIZATIONS:
        with tempfile.TemporaryDirectory() as folder:
            measure_vectors(Path(folder), kind)


if __name__ == "__main__":
    main()
