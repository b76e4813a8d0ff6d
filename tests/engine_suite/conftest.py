from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from lookalike.adapter import collection as collections
from lookalike.adapter.catalogue import Catalogue
from lookalike.adapter.collection import Collection, IndexedField
from lookalike.adapter.engine import Engine
from lookalike.adapter.writes import Writer
from tests.engine_suite.records import DIMENSION
from tests.engine_suite.subjects import SUBJECTS, Subject


@pytest.fixture(params=SUBJECTS, scope="session")
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    with SUBJECTS[request.param](tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture
async def engine(subject: Subject) -> AsyncIterator[Engine]:
    connected = await subject.connect()
    yield connected
    await connected.close()


@pytest.fixture
def collection_of(engine: Engine) -> Any:
    """Makes a collection of a test's own, with these settings."""

    def settings(**wanted: Any) -> Collection:
        id_ = collections.new_collection_id()
        return Collection(
            **{
                "id": id_,
                "physical": collections.physical_name(id_),
                "name": f"test {uuid.uuid4().hex[:8]}",
                "type": "products",
                "embedder": "none",
                "revision": "1",
                "dimension": DIMENSION,
                "distance": "cosine",
                "created": collections.now(),
                "fields_to_index": (
                    IndexedField("category"),
                    IndexedField("price"),
                    IndexedField("product_id"),
                ),
                "product_id_field": "product_id",
            }
            | wanted
        )

    return settings


@pytest.fixture
async def catalogue(engine: Engine) -> Catalogue:
    return Catalogue(engine)


@pytest.fixture
async def collection(
    engine: Engine, catalogue: Catalogue, collection_of: Any
) -> AsyncIterator[Collection]:
    made: Collection = collection_of()
    await collections.create(engine, made)
    catalogue.put(made)
    yield made
    await collections.delete(engine, made.id)


@pytest.fixture
def writer(engine: Engine, catalogue: Catalogue) -> Writer:
    return Writer(engine, catalogue)
