"""What names the collection: a header, the body, the prefix of the path, the token."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from lookalike.adapter.collections import store
from lookalike.adapter.engines.embedded.client import EmbeddedEngine
from lookalike.api.request_paths import METHODS
from tests.contract.conftest import ADMIN_TOKEN, READ_TOKEN, Bound, Connect, NewServer
from tests.engines.embedded.supervisors import running
from tests.live import LiveServer, lookalike
from tests.service import Service

WRITING = {"insert", "update", "delete", "nearDupsInsert"}
WITHOUT_COLLECTION = {"visual_hash", "remove_duplicates", "rank_images"}


def test_the_older_header_names_the_collection(service: Service, shop: str) -> None:
    answer = service.http.post("/similarity/products/v2/allRecords", headers={"collection": "shop"})
    assert answer.json()["answer_count"] == 45
    both = {"collection": "nothing", "collection-id": shop}
    answer = service.http.post("/similarity/products/v2/allRecords", headers=both)
    assert answer.json()["answer_count"] == 45


def test_a_collection_can_be_used_as_soon_as_it_is_made(admin: Service, image: str) -> None:
    """By every API process, by its id and by its name."""
    for round_ in range(10):
        name = f"new {round_}"
        collection = admin.collection(name=name)
        for record in range(2):
            with httpx.Client(base_url=admin.url, headers=admin.http.headers) as connection:
                answer = connection.post(
                    "/similarity/photos/v2/insert",
                    json={"records": [{"_id": str(record), "_base64": image}]},
                    headers={"collection-id": collection},
                )
                assert answer.json()["status"]["code"] == 210, answer.text
        with httpx.Client(base_url=admin.url, headers=admin.http.headers) as connection:
            answer = connection.post("/similarity/photos/v2/allIDs", headers={"collection": name})
            assert answer.json()["answer_count"] == 2, answer.text


def test_a_name_that_an_older_version_gave_twice(new_server: NewServer, connect: Connect) -> None:
    """The name alone is refused; ids are as good as ever, and `migrate status` tells the operator.

    A token that may use one of the two means that one.
    """
    server = new_server()
    data = ("--data", str(server.data))
    made = [lookalike("collections", "create", f"shop{n}", *data) for n in range(2)]
    one, other = (json.loads(each.stdout)["id"] for each in made)
    asyncio.run(name_all(server.data, "shop"))
    status = lookalike("migrate", "status", *data).stdout
    assert "The name shop is that of 2 collections" in status
    shown = lookalike("collections", "show", "shop", *data)
    assert shown.returncode == 1
    server.environment["LOOKALIKE_TOKENS"] = f"all,bound:read+write+admin:{one}"
    server.start()
    client, bound = connect(server.url, "all"), connect(server.url, "bound")
    listing = ("/similarity/photos/v2/allRecords", "/similarity/photos/v2/ping")
    for path in listing:
        refused = client.http.post(path, headers={"collection": "shop"})
        assert refused.status_code == 409
        assert one in refused.json()["detail"]
        assert other in refused.json()["detail"]
        for service, header in (
            (client, {"collection-id": other}),
            (bound, {"collection": "shop"}),
        ):
            assert service.http.post(path, headers=header).status_code == 200
    assert bound.http.post("/similarity/v2/collection/", json={"name": "shop"}).status_code == 403
    refused = client.http.post("/similarity/v2/collection/", json={"name": "shop"})
    assert refused.status_code == 409
    assert refused.json()["detail"] == "A collection of this name exists, or is being made."
    assert client.change(other, name="other").status_code == 200
    assert client.http.post(listing[0], headers={"collection": "shop"}).status_code == 200
    assert "The name" not in lookalike("migrate", "status", *data).stdout


async def name_all(folder: Path, name: str) -> None:
    """Gives every collection this name, as was once possible."""
    with running(folder) as supervisor:
        engine = await EmbeddedEngine.connect(supervisor.socket_path)
        for collection in await store.read_all(engine):
            renamed = msgspec.structs.replace(collection, name=name)
            await store.save_collection(engine, collection, renamed)
        await engine.close()


def test_an_unknown_collection(service: Service, image: str) -> None:
    body = {"records": [{"_id": "1", "_base64": image}], "query_record": {"_id": "1"}}
    unknown = ["7c1e0000-0000-4000-8000-000000000000", "no such name", "../../etc", "x" * 5000]
    for method, collection in itertools.product(("insert", "visualKNN", "ping"), unknown):
        answer = service.call(method, collection, body)
        assert answer.status_code == 404
        assert answer.json() == {
            "detail": "Collection not found.",
            "status": {"code": 404, "text": "Collection not found."},
        }


def test_no_collection(service: Service) -> None:
    for headers in ({}, {"collection-id": ""}):
        answer = service.http.post("/similarity/photos/v2/allRecords", headers=headers)
        assert answer.status_code == 400
        assert "collection-id" in answer.json()["detail"]


def test_searches_without_a_collection_are_refused(service: Service) -> None:
    for method in ("visualKNN", "facets", "descriptor", "nearDupsInsert"):
        assert service.call(method, None, {}).status_code in (400, 404)


@pytest.mark.parametrize("method", sorted(METHODS - WITHOUT_COLLECTION))
def test_the_body_names_the_collection_where_no_header_does(
    method: str, service: Service, shop: str
) -> None:
    """Every method answers the same. Those that write are told of a record that is not there."""
    body: dict[str, Any] = {
        "query_record": {"_id": "1"},
        "records": [{"_id": "none" if method in WRITING else "1"}],
        "radius": 0.1,
        "seed": 1,
        "field": "category",
        "filter": {"category": "no such"},
    }
    by_header = service.call(method, shop, body).json()
    for named in ({"collection_id": shop}, {"collection": "shop"}, {"collection": shop}):
        by_body = service.call(method, None, body | named).json()
        for answer in (by_header, by_body):
            answer.pop("statistics", None)
        assert by_body == by_header


def test_the_header_goes_before_the_body(service: Service, shop: str, collection: str) -> None:
    def count(headers: dict[str, str], **body: Any) -> int:
        path = "/similarity/products/v2/allRecords"
        answer = service.http.post(path, headers=headers, json=body).json()
        assert isinstance(answer["answer_count"], int)
        return answer["answer_count"]

    assert count({"collection-id": shop}, collection_id=collection) == 45
    assert count({"collection": "shop"}, collection_id=collection, collection="none") == 45
    assert count({}, collection_id=shop, collection="none") == 45
    assert count({"collection-id": ""}, collection_id=None, collection="shop") == 45


def test_what_the_body_names_is_checked(service: Service) -> None:
    for body, code in (
        ({"collection_id": "7c1e0000-0000-4000-8000-000000000000"}, 404),
        ({"collection": "no such name"}, 404),
        ({"collection": 7}, 400),
        ({"collection": ""}, 400),
    ):
        assert service.call("allRecords", None, body).status_code == code
    place = service.call("random", None, {"collection_id": []}).json()["status"]["place"]
    assert place == "$.collection_id"


# Prefixes


@pytest.fixture
def mapped_server(new_server: NewServer) -> LiveServer:
    """With a prefix of its own, which a client of 2018 had, and one of the provider's."""
    prefixes = "example=first,photo/search=second,later=not made yet"
    server = new_server(LOOKALIKE_PREFIX_COLLECTIONS=prefixes, LOOKALIKE_WORKERS="2")
    server.start()
    return server


def test_a_prefix_stands_for_a_collection(
    mapped_server: LiveServer, connect: Connect, image: str
) -> None:
    """The client sends neither a token nor a collection, integers as ids, and `ping` as GET."""
    client = connect(mapped_server.url)
    ids = {name: client.collection(name=name) for name in ("first", "second")}

    def call(prefix: str, method: str, body: object, **headers: str) -> Any:
        url = f"/{prefix}/v2/{method}"
        return client.http.post(url, json=body, headers=headers).json()

    records = [{"_id": number, "_base64": image} for number in (321, 322)]
    inserted = call("example", "insert", {"records": records, "fields_to_return": ["_id"]})
    assert inserted["status"] == {"code": 210, "text": "records inserted"}
    options: dict[str, Any] = {
        "fields_to_return": ["_id"],
        "output_file_name": None,
        "records_to_answer": True,
        "delete_file_after": True,
        "filter": None,
    }
    assert call("example", "allRecords", options)["answer_count"] == 2
    assert "2 records" in client.http.get("/example/v2/ping").json()["info"]
    assert call("photo/search", "allRecords", options)["answer_count"] == 0
    # The body goes before the prefix, and the header before both.
    assert call("photo/search", "allRecords", {"collection": "first"})["answer_count"] == 2
    body = {"collection_id": ids["first"]}
    headers = {"collection-id": ids["second"]}
    assert call("example", "allRecords", body, **headers)["answer_count"] == 0
    # Any other prefix is as before.
    assert client.http.post("/others/v2/allRecords").status_code == 404
    assert client.http.post("/photo/v2/allRecords").status_code == 400
    deleted = call("example", "delete", {"records": [{"_id": 321}, {"_id": 5}]})
    assert deleted["status"]["code"] == 206


def test_a_prefix_whose_collection_is_not_there(
    mapped_server: LiveServer, connect: Connect
) -> None:
    client = connect(mapped_server.url)
    answers = [client.http.get("/later/v2/ping") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert answers[0].json()["detail"] == "Collection not found."
    client.collection(name="not made yet")
    assert client.http.get("/later/v2/ping").status_code == 200
    client.close()
    output = mapped_server.stop()
    assert "prefix later: LOOKALIKE_PREFIX_COLLECTIONS" in output


def test_a_prefix_is_no_way_around_a_token(
    new_server: NewServer, connect: Connect, image: str
) -> None:
    tokens = f"{ADMIN_TOKEN},{READ_TOKEN}:read,other:read:7c1e0000-0000-4000-8000-000000000000"
    server = new_server(LOOKALIKE_PREFIX_COLLECTIONS="example=first", LOOKALIKE_TOKENS=tokens)
    server.start()
    connect(server.url, ADMIN_TOKEN).collection(name="first")
    insert = {"records": [{"_id": "1", "_base64": image}]}
    found = {
        token: [
            connect(server.url, token).http.post(f"/example/v2/{method}", json=insert).status_code
            for method in ("insert", "allIDs", "ping")
        ]
        for token in (None, READ_TOKEN, "other", ADMIN_TOKEN)
    }
    assert found == {
        None: [401] * 3,
        READ_TOKEN: [403, 200, 200],
        "other": [403, 404, 404],
        ADMIN_TOKEN: [200] * 3,
    }


def test_a_fault_of_the_setting_ends_the_start(new_server: NewServer) -> None:
    server = new_server()
    environment = {"LOOKALIKE_PREFIX_COLLECTIONS": "example/v2/=shop"}
    ended = lookalike("serve", "--data", str(server.data), environment=environment)
    assert ended.returncode != 0
    assert len(ended.stderr.splitlines()) == 1
    assert "LOOKALIKE_PREFIX_COLLECTIONS, entry 1: prefix=collection is needed" in ended.stderr
    assert not server.data.exists()


# Tokens


def test_a_token_of_one_collection_names_it(
    connect: Connect, admin: Service, bound: Bound, image: str
) -> None:
    """The body and the header go before it, and it is no way to what it is not bound to."""
    body = {"records": [{"_id": "by token", "_base64": image}]}
    writer, reader = (connect(admin.url, token) for token in (bound.writer, bound.reader))
    assert writer.call("insert", None, body).json()["status"]["code"] == 210
    assert reader.call("get", None, body).json()["answer_records"] == [{"_id": "by token"}]
    stored = len(admin.ids(bound.collection))
    assert f" {stored} records" in reader.http.get("/image_matching/v2/ping").json()["info"]
    other = admin.collection(name="of others")
    for named in ({"collection_id": other}, {"collection": "of others"}, {"collection": "none"}):
        assert reader.call("allIDs", None, named).status_code == 404
    assert writer.call("delete", None, body).json()["status"]["code"] == 220
    assert admin.call("allIDs", None).status_code == 400
