"""The provider's own client with tokens: its constructor's check, and both forms of the header."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from ximilar.client import search as clients

from tests.contract.conftest import ADMIN_TOKEN, LONG_TOKEN, READ_TOKEN
from tests.contract.official import OF_EVERY_CLASS, ClientClass, endpoint_of
from tests.live import LiveServer
from tests.service import Service
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
def asked_for_permission(monkeypatch: pytest.MonkeyPatch, guarded: LiveServer) -> str:
    """The one constant that says where the constructor asks; the client is otherwise as it is."""
    monkeypatch.setattr("ximilar.client.client.ENDPOINT", f"{guarded.url}/")
    return f"{guarded.url}/"


@OF_EVERY_CLASS
def test_the_constructor_asks_for_permission(
    client_class: ClientClass, type_: str, asked_for_permission: str, admin: Service
) -> None:
    endpoint = endpoint_of(client_class, asked_for_permission)
    client = client_class(token=ADMIN_TOKEN, collection_id="-", endpoint=endpoint)
    client.headers["collection-id"] = admin.collection(type=type_)
    assert client.ping()["status"]["code"] == 200
    assert f"{type_} similarity" in client.ping()["info"]


def test_the_constructor_reports_a_wrong_token(asked_for_permission: str) -> None:
    endpoint = endpoint_of(clients.SimilarityPhotosClient, asked_for_permission)
    with pytest.raises(Exception, match=r"^Invalid token\. photo-search\. Please contact"):
        clients.SimilarityPhotosClient(token="wrong", endpoint=endpoint)


def test_a_token_of_80_characters(asked_for_permission: str, admin: Service, image: str) -> None:
    assert len(LONG_TOKEN) == 80
    endpoint = endpoint_of(clients.SimilarityPhotosClient, asked_for_permission)
    client = clients.SimilarityPhotosClient(LONG_TOKEN, admin.collection(), endpoint=endpoint)
    assert client.headers["Authorization"].startswith("JWT ")
    assert client.insert([{"_id": "1", "_base64": image}])["status"]["code"] == 210
    assert client.search({"_id": "1"})["answer_records"] == [{"_id": "1"}]
    client.update_token("x" * 80)
    assert client.search({"_id": "1"})["detail"] == "Invalid token."


def test_a_token_without_the_right(asked_for_permission: str, admin: Service, image: str) -> None:
    endpoint = endpoint_of(clients.SimilarityPhotosClient, asked_for_permission)
    client = clients.SimilarityPhotosClient(READ_TOKEN, admin.collection(), endpoint=endpoint)
    assert client.allRecords()["answer_records"] == []
    answer = client.insert([{"_id": "1", "_base64": image}])
    assert answer["status"]["code"] == 403
    assert "permission" in answer["detail"]


@pytest.mark.parametrize(
    "call",
    [requests.get, requests.post],
    ids=["get", "post"],
)
def test_every_answer_is_json(call: Callable[..., requests.Response], guarded: LiveServer) -> None:
    """The constructor dies of a TypeError where its check is not answered in JSON."""
    for path in ("authorization/v2/authorize", "nothing/here", "", "similarity/photos/v2/ping"):
        assert isinstance(call(f"{guarded.url}/{path}", timeout=PATIENCE_SECONDS).json(), dict)
