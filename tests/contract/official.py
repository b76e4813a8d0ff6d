"""The provider's own Python client, unmodified, against a live service.

Its constructor asks the provider's host for permission unless `localhost` is in the endpoint; that
is what `<url>/localhost/...` is for. The tests of tokens let it ask, and only tell it whom.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from ximilar.client import search as clients

from tests.service import Service

ClientClass = type[clients.SimilarityPhotosClient]


CLIENTS: list[tuple[ClientClass, str]] = [
    (clients.SimilarityPhotosClient, "photos"),
    (clients.SimilarityPhotosOldClient, "photos"),
    (clients.SimilarityProductsClient, "products"),
    (clients.SimilarityProductsOldClient, "products"),
    (clients.SimilarityCustomClient, "custom"),
    (clients.SimilarityColorsClient, "colors"),
    (clients.ImageMatchingSearchClient, "matching"),
    (clients.SimilarityHomeDecorClient, "homedecor"),
    (clients.SimilarityFashionClient, "fashion"),
]


OF_EVERY_CLASS = pytest.mark.parametrize(
    ("client_class", "type_"), CLIENTS, ids=[cls.__name__ for cls, _ in CLIENTS]
)


def endpoint_of(client_class: ClientClass, host: str) -> str:
    """The endpoint that the class has by default, at another host."""
    default: str = inspect.signature(client_class).parameters["endpoint"].default
    return default.replace("https://api.ximilar.com/", host)


def connect_client(
    client_class: ClientClass, service: Service, collection: str | None, token: str = "abc"
) -> Any:
    endpoint = endpoint_of(client_class, f"{service.url}/localhost/")
    return client_class(token=token, collection_id=collection, endpoint=endpoint)
