"""Every part of a request is used, refused, or named as ignored."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ximilar.client import search as clients

from tests.contract.answers import ids
from tests.contract.conftest import NewServer
from tests.contract.palette import COLOURS, distance, nearest_to, paint, png
from tests.file_server import FileServer
from tests.service import Service

RED = {"query_record": {"_id": "red"}}
RECORDS = {"records": [{"_id": "red"}]}

METHODS: dict[str, dict[str, Any]] = {
    "insert": {"records": [paint("red")]},
    "nearDupsInsert": {"records": [paint("red")]},
    "update": {"records": [{"_id": "red"}]},
    "delete": {"records": [{"_id": "nobody"}]},
    "deleteByFilter": {"filter": {"_id": "nobody"}},
    "get": RECORDS,
    "random": {},
    "allRecords": {},
    "allRecords?size=3": {},
    "allIDs": {},
    "visualKNN": RED,
    "visualTagsKNN": RED,
    "visualRange": RED | {"radius": 1},
    "visualRankRecords": RED | RECORDS,
    "nearDuplicates": RED,
    "text": {"query_record": {"_text_data": "red"}},
    "descriptor": RECORDS,
    "facets": {"field": "hex"},
    "visual_hash": RECORDS,
    "remove_duplicates": RECORDS,
    "rank_images": {"query_record": paint("red"), "records": [paint("red")]},
}


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_does_not_know_is_named(method: str, service: Service, paints: str) -> None:
    unknown = {"custom_flow": "x", "filtr": {"a": 1}, "extract_tags": False, "something": None}
    answer = service.answer(method, paints, METHODS[method] | unknown)
    assert answer["statistics"]["ignored"] == ["custom_flow", "extract_tags", "filtr"]
    assert "ignored" not in service.answer(method, paints, METHODS[method])["statistics"]


def test_what_only_other_methods_know_is_named(service: Service, paints: str) -> None:
    for method, body, named in (
        ("visualKNN", {"tag_weight": 0.5, "records": []}, ["records", "tag_weight"]),
        ("nearDuplicates", {"cand_set_size": 100}, ["cand_set_size"]),
        ("visualRankRecords", {"from": 1, "diversity": 0.5}, ["diversity", "from"]),
        ("allRecords", {"size": 3, "page": 1, "k": 2}, ["k", "page", "size"]),
        ("get", {"filter": {}}, ["filter"]),
    ):
        answer = service.answer(method, paints, METHODS[method] | body)
        assert answer["statistics"]["ignored"] == named


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("visualKNN?k=5&from=1", {"query_record": {"_id": "red"}}, ["?from", "?k"]),
        ("allRecords?size=2&page=1&pagesize=3", {"x": 1}, ["?pagesize", "x"]),
        ("allRecords?pagesize=3", {}, ["?pagesize"]),
        ("insert?dry_run=true", {"records": []}, ["?dry_run"]),
    ],
)
def test_parameters_of_the_query_that_a_method_does_not_know_are_named(
    path: str, body: object, named: list[str], service: Service, paints: str
) -> None:
    assert service.call(path, paints, body).json()["statistics"]["ignored"] == named


@pytest.mark.parametrize("query", ["page=2", "size=0&page=2", "after=x"])
def test_a_page_without_a_size_is_refused(query: str, service: Service, paints: str) -> None:
    answer = service.call(f"allRecords?{query}", paints, {})
    assert (answer.status_code, answer.json()["status"]["place"]) == (400, "size")


def test_also_where_nothing_is_found(service: Service, paints: str) -> None:
    answer = service.answer("visualKNN", paints, {"query_record": {"_id": "nobody"}, "x": 1})
    assert answer["status"]["code"] == 404
    assert answer["statistics"]["ignored"] == ["x"]


def test_many_and_long_names_are_shortened(service: Service, paints: str) -> None:
    body = METHODS["get"] | {f"{n:03}" + "x" * 1000: n for n in range(500)}
    named = service.answer("get", paints, body)["statistics"]["ignored"]
    assert len(named) == 21
    assert named[-1] == "…"
    assert max(map(len, named)) < 100


def test_the_log_names_them_once(new_server: NewServer) -> None:
    server = new_server()
    server.start()
    service = Service(server.url)
    collection = service.collection(embedder="phash", name="empty")
    for _ in range(3):
        service.answer("random", collection, {"odd\nname": 1, "custom_flow": "secret"})
    service.close()
    log = server.stop()
    lines = [line for line in log.splitlines() if "custom_flow" in line]
    assert len(lines) == 1
    assert r"random ignores" in lines[0]
    assert r"odd\nname" in lines[0]
    assert "secret" not in log


def test_through_the_official_client(service: Service, image: str) -> None:
    collection = service.collection(type="fashion")
    client = clients.SimilarityFashionClient(
        token="any",
        collection_id=collection,
        endpoint=f"{service.url}/localhost/similarity/fashion/v2/",
    )
    record = {"_id": "1", "_base64": image, "noresize": True}
    assert "ignored" not in client.insert([record])["statistics"]
    record["_id"] = "2"
    answer = client.insert([record], extract_tags=True)
    assert answer["status"]["code"] == 210
    assert answer["statistics"]["ignored"] == ["extract_tags"]


# Values in the form of other languages


def test_numbers_and_objects_as_other_languages_write_them(service: Service, paints: str) -> None:
    plain = service.answer("visualKNN", paints, RED | {"k": 5, "from": 1})
    for body in ({"k": 5.0, "from": "1"}, {"k": "5", "from": 1.0, "filter": []}):
        assert ids(service.answer("visualKNN", paints, RED | body)) == ids(plain)
    assert service.answer("random", paints, {"count": "3", "filter": []})["answer_count"] == 3
    assert service.answer("allRecords", paints, {"filter": []})["answer_count"] == len(COLOURS)
    ranked = {"records": [{"_id": "red"}, {"_id": "blue"}], "k": 1.0}
    assert service.answer("visualRankRecords", paints, RED | ranked)["answer_count"] == 1
    facets = service.answer("facets", paints, {"field": "hex", "limit": "2", "filter": []})
    assert len(facets["facets"]) == 2
    for size, page in (("3", "1"), ("3.0", "1.0")):
        answer = service.answer(f"allRecords?size={size}&page={page}", paints, {})
        assert answer["answer_count"] == 3


def test_an_empty_image_is_none(service: Service, file_server: FileServer) -> None:
    collection = service.collection(embedder="palette")
    url = file_server.add("/empty-base64.png", base64.b64decode(png(COLOURS["teal"])))
    records = [
        {"_id": "a", "_url": url, "_base64": ""},
        {"_id": "b", "_url": "", "_base64": png(COLOURS["teal"])},
        {"_id": "c", "_url": "", "_base64": ""},
    ]
    answer = service.answer("insert", collection, {"records": records})
    assert ids(answer) == ["a", "b"]
    assert answer["skipped_records"][0]["_reason"]["status"]["code"] == 400
    query = {"_url": url, "_base64": "", "_text_data": ""}
    answer = service.answer("visualKNN", collection, {"query_record": query})
    assert answer["answer_distances"] == [0.0, 0.0]


def test_no_fields_are_the_id_alone(service: Service) -> None:
    collection = service.collection(embedder="palette")
    body = {"records": [paint("red")], "fields_to_return": []}
    assert service.answer("insert", collection, body)["answer_records"] == [{"_id": "red"}]
    changed = {"records": [{"_id": "red", "x": 1}], "fields_to_return": []}
    assert service.answer("update", collection, changed)["answer_records"] == [{"_id": "red"}]
    ranked = RED | {"records": [{"_id": "red", "_file": "f"}], "fields_to_return": []}
    answer = service.answer("visualRankRecords", collection, ranked)
    assert answer["answer_records"] == [{"_id": "red"}]


# Filters on `_id`


def test_an_integer_is_an_id_in_filters_too(service: Service, image: str) -> None:
    collection = service.collection()
    service.load(collection, [{"_id": n, "_base64": image} for n in range(1, 6)])
    for filter_, expected in (
        ({"_id": {"$nin": [1, 2]}}, ["3", "4", "5"]),
        ({"_id": 3}, ["3"]),
        ({"_id": {"$ne": 3}}, ["1", "2", "4", "5"]),
        ({"_id": {"$not": {"$in": [3, "4"]}}}, ["1", "2", "5"]),
        ({"$or": [{"_id": 1}, {"$and": [{"_id": {"$all": [2]}}]}]}, ["1", "2"]),
    ):
        body = {"query_record": {"_id": 1}, "filter": filter_}
        assert sorted(ids(service.answer("visualKNN", collection, body))) == expected
        assert sorted(ids(service.answer("allRecords", collection, body))) == expected
    deleted = service.answer("deleteByFilter", collection, {"filter": {"_id": {"$in": [4, 5]}}})
    assert sorted(ids(deleted)) == ["4", "5"]


# Queries in several parts


def test_query_record_without_content_beside_others_hurts_nothing(
    service: Service, paints: str
) -> None:
    several = {"query_records": [{"_id": "red"}]}
    records: list[Any] = [{}, [], {"note": "mine"}, {"_id": None, "_url": ""}]
    for record in records:
        answer = service.answer("visualKNN", paints, several | {"query_record": record})
        assert ids(answer) == nearest_to("red")


def test_a_radius_on_another_scale_inserts_nothing(service: Service) -> None:
    collection = service.collection(embedder="palette")
    body = {"records": [paint("red"), paint("blue")], "radius": 5.0}
    answer = service.call("nearDupsInsert", collection, body)
    assert answer.status_code == 400
    assert answer.json()["status"]["place"] == "$.radius"
    assert service.ids(collection) == []


def test_the_whole_scale_is_a_radius(service: Service, paints: str) -> None:
    answer = service.answer("visualRange", paints, RED | {"radius": 2})
    assert answer["answer_count"] == len(COLOURS)
    assert answer["answer_distances"][-1] == pytest.approx(
        max(distance("red", name) for name in COLOURS), abs=2e-6
    )


def test_a_collection_in_the_body_is_named_only_where_a_header_goes_before(
    service: Service, paints: str
) -> None:
    body = {"collection_id": paints, "count": 1}
    assert "ignored" not in service.call("random", None, body).json()["statistics"]
    answer = service.answer("random", paints, body)
    assert answer["statistics"]["ignored"] == ["collection_id"]
