"""Run logs and asynchronous requests, by the provider's client and by plain HTTP."""

from __future__ import annotations

import itertools
import uuid

import pytest
from ximilar.client.asyncr import AsyncRClient
from ximilar.client.similarity import SimilarityRunLogClient

from tests.contract.conftest import READ_TOKEN, Bound, Connect, NewServer
from tests.service import Service

RUN_LOGS = "/similarity/v2/run-log/"


# Run logs


def test_the_life_of_a_log_with_the_official_client(service: Service, collection: str) -> None:
    client = SimilarityRunLogClient("abc", endpoint=f"{service.url}/localhost/")
    made = client.create_log(collection, {"inserted": 12, "failed": [{"_id": "7"}]})
    assert made["collection"] == collection
    found = client.get_log(made["id"])
    assert found == made
    assert found["data"] == {"inserted": 12, "failed": [{"_id": "7"}]}
    changed = client.update_log(made["id"], {"inserted": 13})
    assert changed == client.get_log(made["id"])
    assert changed["data"] == {"inserted": 13}
    assert client.delete_log(made["id"]).status_code == 204
    assert client.get_log(made["id"])["detail"] == "Run log not found."
    assert client.delete_log(made["id"])["detail"] == "Run log not found."


def test_a_log_goes_with_its_collection(service: Service) -> None:
    collection = service.collection(name="with a log")
    sent = {"collection": "with a log", "data": {}}
    made = service.http.post(RUN_LOGS, json=sent).json()
    assert made["collection"] == collection
    assert service.http.delete(f"/similarity/v2/collection/{collection}").status_code == 204
    assert service.http.get(RUN_LOGS + made["id"]).status_code == 404
    assert service.http.post(RUN_LOGS, json=sent).status_code == 404


@pytest.mark.parametrize("endpoint", ["", "localhost/"])
def test_pages_are_followed_as_the_client_does(
    endpoint: str, service: Service, collection: str
) -> None:
    client = SimilarityRunLogClient("abc", endpoint=f"{service.url}/{endpoint}")
    ids = [client.create_log(collection, {"n": n})["id"] for n in range(101)]
    items, status = client.get_all_paginated_items(
        f"similarity/v2/run-log/?collection={collection}"
    )
    assert status == {"status": "OK", "count": 101}
    assert [item["id"] for item in items] == ids[::-1]
    first = client.get(f"{RUN_LOGS}?collection={collection}")
    assert (len(first["results"]), first["previous"]) == (100, None)
    second = service.http.get(first["next"]).json()
    assert (len(second["results"]), second["next"]) == (1, None)
    assert service.http.get(second["previous"]).json() == first


def test_the_next_page_is_where_the_proxy_was_asked(service: Service, collection: str) -> None:
    for n in range(101):
        service.http.post(RUN_LOGS, json={"collection": collection, "data": {"n": n}})
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "search.shop.example"}
    page = service.http.get(f"{RUN_LOGS}?collection={collection}", headers=headers).json()
    begin = "https://search.shop.example/similarity/v2/run-log/?"
    assert page["next"] == f"{begin}collection={collection}&page=2"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"data": {}}, 400),
        ({"collection": "no such collection", "data": {}}, 404),
        ({"collection": "shop"}, 400),
        ({"collection": "shop", "data": [1]}, 400),
        ({"collection": "shop", "data": {}, "workspace": "x"}, 400),
        ({"collection": "shop", "data": {"a": "x" * 70_000}}, 400),
    ],
)
def test_a_log_that_is_refused(
    body: dict[str, object], code: int, service: Service, shop: str
) -> None:
    answer = service.http.post(RUN_LOGS, json=body)
    assert answer.status_code == code
    page = service.http.get(f"{RUN_LOGS}?collection={shop}").json()
    assert page == {"count": 0, "next": None, "previous": None, "results": []}


def test_a_token_sees_the_logs_of_its_collections(
    connect: Connect, admin: Service, bound: Bound
) -> None:
    """And no others: what it may not use does not exist for it."""
    writer, reader = (connect(admin.url, token) for token in (bound.writer, bound.reader))
    other = admin.collection()
    body = {"collection": other, "data": {"a": 1}}
    theirs = admin.http.post(RUN_LOGS, json=body).json()["id"]
    own = writer.http.post(RUN_LOGS, json=body | {"collection": bound.collection}).json()["id"]
    for client in (writer, reader):
        page = client.http.get(RUN_LOGS).json()
        assert [log["id"] for log in page["results"]] == [own]
        assert page["count"] == 1
        assert client.http.get(f"{RUN_LOGS}?collection={other}").status_code == 404
        assert client.http.get(RUN_LOGS + own).status_code == 200
    unknown = str(uuid.uuid4())
    for id_ in (theirs, unknown):
        answers = [
            writer.http.get(RUN_LOGS + id_),
            writer.http.put(RUN_LOGS + id_, json={"data": {}}),
            writer.http.delete(RUN_LOGS + id_),
        ]
        assert [answer.status_code for answer in answers] == [404] * 3
        assert {answer.json()["detail"] for answer in answers} == {"Run log not found."}
    assert writer.http.post(RUN_LOGS, json=body).json()["detail"] == "Collection not found."
    assert reader.http.put(RUN_LOGS + own, json={"data": {}}).status_code == 403
    assert reader.http.delete(RUN_LOGS + own).status_code == 403
    assert admin.http.get(RUN_LOGS + theirs).json()["data"] == {"a": 1}
    assert connect(admin.url).http.get(RUN_LOGS + own).status_code == 401


def test_logs_survive_a_kill_and_are_seen_by_every_process(
    new_server: NewServer, connect: Connect
) -> None:
    server = new_server(LOOKALIKE_WORKERS="2")
    server.start()
    collection = connect(server.url).collection()
    made = [
        connect(server.url).http.post(RUN_LOGS, json={"collection": collection, "data": {"n": n}})
        for n in range(4)
    ]
    ids = [answer.json()["id"] for answer in made]
    for id_, _ in itertools.product(ids, range(3)):
        assert connect(server.url).http.get(RUN_LOGS + id_).status_code == 200
    server.kill()
    server.start()
    page = connect(server.url).http.get(RUN_LOGS).json()
    assert [log["id"] for log in page["results"]] == ids[::-1]


# Asynchronous requests


@pytest.mark.parametrize("prefix", ["", "similarity/photos/v2/"])
def test_an_asynchronous_request_is_not_supported(prefix: str, service: Service) -> None:
    client = AsyncRClient("abc", endpoint=f"{service.url}/localhost/{prefix}")
    request = client.submit({"records": [{"_url": "https://shop.example/1.jpg"}]}, "upscaler")
    assert (request.status, request.type, request.response) == ("NOT_SUPPORTED", "upscaler", None)
    assert request.check_status() == "NOT_SUPPORTED"
    assert request.update() is False
    again, _ = client.get_request(request.id)
    assert (again.id, again.status) == (request.id, "NOT_SUPPORTED")
    assert client.get_requests(type="upscaler", status="DONE") == (
        [],
        None,
        {"count": 0, "status": "ok"},
    )


def test_asynchronous_requests_by_plain_http(service: Service) -> None:
    path = "/account/v2/request"
    made = service.http.post(path, json={"type": "flows", "webhook": {"endpoint": "x"}}).json()
    assert made.keys() == {"id", "status", "type", "created", "workspace"}
    other = service.http.post(f"{path}/", json={"type": "flows"}).json()
    assert made["id"] != other["id"]
    assert service.http.get(f"{path}/{made['id']}/status/").json() == {"status": "NOT_SUPPORTED"}
    assert service.http.get(path).json()["count"] == 0
    assert service.http.post(path, json={"records": []}).status_code == 400
    assert service.http.get(f"{path}/no-id").status_code == 404


def test_an_asynchronous_request_needs_a_token(connect: Connect, admin: Service) -> None:
    path = "/account/v2/request"
    assert connect(admin.url).http.post(path, json={"type": "flows"}).status_code == 401
    reader = connect(admin.url, READ_TOKEN)
    assert reader.http.post(path, json={"type": "flows"}).json()["status"] == "NOT_SUPPORTED"
