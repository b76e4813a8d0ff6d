"""The engines that filters are tried on: each keeps records under numbers and finds them again."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from qdrant_client import AsyncQdrantClient, models

from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.adapter.filters import (
    SHADOW_PATH,
    engine_key,
    match,
    parse,
    split_path,
    translate,
)
from lookalike.adapter.records.bookkeeping import stored_payload
from lookalike.adapter.records.points import stored_record

COLLECTION = "filters"
KINDS = {
    "keyword": models.PayloadSchemaType.KEYWORD,
    "number": models.PayloadSchemaType.FLOAT,
}


class FilterEngine:
    """A collection on one engine, with payload indexes on `indexed`. Driven from plain tests."""

    def __init__(self, engine: Any, indexed: Mapping[str, str], loop: Any) -> None:
        self._engine = engine
        self._loop = loop
        self.indexed = indexed
        self.records: dict[int, dict[str, Any]] = {}

    def run(self, coroutine: Any) -> Any:
        with warnings.catch_warnings():
            # Local mode says at each payload index that it has none.
            warnings.filterwarnings("ignore", message="Payload indexes have no effect")
            return self._loop.run_until_complete(coroutine)

    @classmethod
    def create(cls, engine: Any, indexed: Mapping[str, str], loop: Any, name: str) -> Self:
        created = cls(engine, indexed, loop)
        created.name = name
        created.run(
            engine.create_collection(
                name,
                vectors_config={
                    "visual": models.VectorParams(size=2, distance=models.Distance.COSINE)
                },
            )
        )
        fields = {SHADOW_PATH: "keyword"} | {
            key: kind for path, kind in indexed.items() if (key := engine_key(split_path(path)))
        }
        for key, kind in fields.items():
            created.run(engine.create_payload_index(name, key, field_schema=KINDS[kind]))
        return created

    name: str

    def clear(self) -> None:
        self.delete(self.records)

    def write(self, records: Mapping[int, dict[str, Any]]) -> None:
        self.put({i: stored_payload(record, {}) for i, record in records.items()})
        self.records |= records

    def put(self, payloads: Mapping[int, dict[str, Any]]) -> None:
        points = [
            models.PointStruct(id=i, vector={"visual": [1.0, 0.0]}, payload=payload)
            for i, payload in payloads.items()
        ]
        if points:
            self.run(self._engine.upsert(self.name, points))

    def overwrite(self, point: int, record: dict[str, Any]) -> None:
        change = models.OverwritePayloadOperation(
            overwrite_payload=models.SetPayload(
                payload=stored_payload(record, {}),
                filter=models.Filter(must=[models.HasIdCondition(has_id=[point])]),
            )
        )
        self.run(self._engine.batch_update_points(self.name, [change]))
        self.records[point] = record

    def delete(self, points: Iterable[int]) -> None:
        ids = list(points)
        if not ids:
            return
        self.run(self._engine.delete(self.name, ids))
        for point in ids:
            del self.records[point]

    def scroll(self, engine_filter: models.Filter | None) -> dict[int, dict[str, Any]]:
        found, _ = self.run(
            self._engine.scroll(
                self.name, scroll_filter=engine_filter, limit=10_000, with_payload=True
            )
        )
        return {point.id: point.payload for point in found}

    def find(self, query: object, *, complete: bool) -> set[int]:
        """What a search would do: ask the engine, and decide the residual on the stored record."""
        translation = translate(parse(query), self.indexed, complete=complete)
        candidates = self.scroll(translation.filter)
        residual = translation.residual
        return {
            point
            for point, payload in candidates.items()
            if residual is None or match(residual, stored_record(payload))
        }

    def candidates(self, query: object) -> set[int]:
        """What the engine finds, before the residual."""
        return set(self.scroll(translate(parse(query), self.indexed, complete=True).filter))

    def expected(self, query: object) -> set[int]:
        node = parse(query)
        return {point for point, record in self.records.items() if match(node, record)}


class FilterEngines:
    """The embedded engine and one local client, with as many collections as asked for."""

    def __init__(self, socket_path: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._embedded = self._loop.run_until_complete(EmbeddedEngine.connect(socket_path))
        self._local = AsyncQdrantClient(":memory:")
        self._made: list[str] = []

    def create(self, kind: str, indexed: Mapping[str, str]) -> FilterEngine:
        engine = self._local if kind == "local" else self._embedded
        self._made.append(f"{COLLECTION}{len(self._made)}")
        return FilterEngine.create(engine, indexed, self._loop, self._made[-1])

    def close(self) -> None:
        for name in self._made:
            self._loop.run_until_complete(self._embedded.delete_collection(name))
        self._loop.run_until_complete(self._embedded.close())
        self._loop.run_until_complete(self._local.close())
        self._loop.close()
