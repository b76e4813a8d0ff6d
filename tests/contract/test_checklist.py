"""The contract's checklist, over plain HTTP: each line of it, if broken, breaks a real client."""

from __future__ import annotations

import itertools
import json
import uuid
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from lookalike.demo_photos import DemoPhoto
from tests.contract.images import base64_of, encoded, opened
from tests.file_server import FileServer
from tests.service import Service

PREFIXES = [
    "similarity/photos",
    "photo/search",
    "similarity/products-new",
    "similarity/products",
    "similarity/fashion-new",
    "similarity/fashion",
    "similarity/fashion-simple",
    "similarity/products_tags",
    "similarity/homedecor-new",
    "similarity/homedeco-newr",
    "similarity/homedecor",
    "similarity/custom",
    "similarity/colors",
    "image_matching",
]
AUTHORIZE = {"service": "photo-search", "call_type": "authenticate"}


# 1. authorize


@pytest.mark.parametrize("before", ["", "/localhost", *(f"/{prefix}/v2" for prefix in PREFIXES)])
@pytest.mark.parametrize("after", ["", "/"])
def test_authorize_at_the_root_and_under_any_prefix(
    before: str, after: str, service: Service
) -> None:
    answer = service.http.post(f"{before}/authorization/v2/authorize{after}", json=AUTHORIZE)
    assert answer.status_code == 200
    assert answer.json()["user_id"]
    assert answer.json()["service"] == "photo-search"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"service_name": "x"}', b'{"service": null}'])
def test_authorize_with_the_bodies_of_other_years(body: bytes, service: Service) -> None:
    assert service.http.post("/authorization/v2/authorize", content=body).json()["user_id"]


@pytest.mark.parametrize("before", ["", "/localhost", "/similarity/photos/v2", "/photo/search/v2"])
@pytest.mark.parametrize(
    "call", ["user", "details", "workspace", "resource", "reports", "config/x"]
)
@pytest.mark.parametrize("after", ["", "/"])
def test_account_calls(before: str, call: str, after: str, service: Service) -> None:
    answer = service.http.get(f"{before}/account/v2/{call}{after}")
    assert answer.status_code == 200, answer.text
    if call in ("user", "details"):
        assert answer.json()["id"]
    if call == "details":
        assert "credits_counter" in answer.json()
        assert "credits_counter" in answer.json()["stats"]


# 2. Paths


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("before", ["/", "/localhost/"])
def test_every_prefix_slash_or_not(prefix: str, before: str, service: Service, shop: str) -> None:
    bodies: dict[str, Any] = {
        "ping": None,
        "get": {"records": [{"_id": "1"}]},
        "random": {},
        "allRecords?size=2&page=1": {},
        "allIDs": {"something": "value"},
        "visualKNN": {"query_record": {"_id": "1"}},
        "visual_search": {"query_record": {"_id": "1"}},
        "visualTagsKNN": {"query_record": {"_id": "1"}},
        "insert": {"records": []},
        "update": {"records": []},
        "delete": {"records": []},
        "deleteByFilter": {"filter": {"category": "no such"}},
    }
    for method, body in bodies.items():
        name, question, query = method.partition("?")
        for path in (name, f"{name}/"):
            url = f"{before}{prefix}/v2/{path}{question}{query}"
            answer = service.http.post(url, json=body, headers={"collection-id": shop})
            assert answer.status_code == 200, (url, answer.text)
            assert answer.json()["status"]["code"] < 500


def test_the_bare_root(service: Service, shop: str) -> None:
    """The provider's own cleaning tool asks there, unless it is told a prefix."""
    headers = {"collection-id": shop}
    answer = service.http.post("/allRecords?size=1000&page=1", json={}, headers=headers)
    assert answer.json()["answer_count"] == 45


def test_several_slashes(service: Service, shop: str) -> None:
    url = f"{service.url}//similarity//photos/v2//ping//"
    answer = service.http.post(url, headers={"collection-id": shop})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/", 404),
        ("/similarity/photos/v2/", 404),
        ("/similarity/photos/v2/nothing", 404),
        ("/unknown/v2/ping", 404),
        ("/similarity/photos/v1/ping", 404),
        ("/similarity/photos/v2/../../healthz", 404),
        ("/%00", 404),
        ("/healthz", 405),
    ],
)
def test_other_paths_are_refused_in_json(path: str, code: int, service: Service) -> None:
    answer = service.http.post(path, json={})
    assert answer.status_code == code
    assert answer.json()["status"]["code"] == code


def test_a_method_that_changes_is_not_answered_to_get(service: Service, shop: str) -> None:
    answer = service.http.get("/similarity/photos/v2/insert", headers={"collection-id": shop})
    assert answer.status_code == 405


# 3. ping and empty bodies


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("content_type", [None, "application/json"])
def test_ping(verb: str, content_type: str | None, service: Service, shop: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    url = "/image_matching/v2/ping"
    answer = service.http.request(verb, url, headers=headers).json()
    assert answer["status"] == {"code": 200, "text": "OK"}
    assert answer["_service_info"].keys() == {"_name", "_info"}
    answer = service.http.request(verb, url, headers=headers | {"collection-id": shop}).json()
    assert answer["statistics"]["total_records"] == 45
    assert "45 records" in answer["info"]
    assert not any(name.startswith("answer") for name in answer)


@pytest.mark.parametrize("method", ["allRecords", "allIDs", "random", "ping"])
@pytest.mark.parametrize("body", [b"", b"{}", b" {} "])
def test_an_empty_body_is_an_empty_object(
    method: str, body: bytes, service: Service, shop: str
) -> None:
    url = f"/similarity/photos/v2/{method}"
    headers = {"collection-id": shop, "Content-Type": "application/json"}
    assert service.http.post(url, content=body, headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["insert", "get", "visualKNN", "deleteByFilter"])
def test_an_empty_body_says_what_is_missing(method: str, service: Service, shop: str) -> None:
    answer = service.call(method, shop)
    assert answer.status_code == 400
    missing = {"visualKNN": "query_record", "deleteByFilter": "filter"}.get(method, "records")
    assert missing in answer.json()["detail"]


# 4. Pages


@pytest.mark.parametrize("prefix", ["similarity/photos/v2", "localhost/photo/search/v2"])
def test_next_can_be_followed_and_is_absent_at_the_end(
    prefix: str, service: Service, shop: str
) -> None:
    url: str | None = f"/{prefix}/allRecords?size=20&page=1"
    seen: list[str] = []
    while url:
        answer = service.http.post(url, json={}, headers={"collection-id": shop}).json()
        assert answer["statistics"]["total_records"] == 45
        seen += [r["_id"] for r in answer["answer_records"]]
        url = answer.get("next")
        assert len(seen) <= 45
    assert len(seen) == len(set(seen)) == 45


@pytest.mark.parametrize("size", [1, 9, 44, 45, 46, 10**6])
def test_pages_concatenated_are_the_whole_list(size: int, service: Service, shop: str) -> None:
    whole = service.answer("allRecords", shop)["answer_records"]
    pages = []
    for page in itertools.count(1):
        answer = service.answer(f"allRecords?size={size}&page={page}", shop)
        pages += answer["answer_records"]
        if "next" not in answer:
            break
        assert page < 45
    assert pages == whole


def test_pages_in_any_order(service: Service, shop: str) -> None:
    whole = service.answer("allRecords", shop, {"fields_to_return": ["*"]})["answer_records"]
    for page in (3, 1, 5, 2, 4, 6):
        answer = service.answer(f"allRecords?size=9&page={page}", shop, {"fields_to_return": ["*"]})
        assert answer["answer_records"] == whole[9 * (page - 1) : 9 * page]
        assert ("next" in answer) == (page < 5)


def test_a_page_of_a_filtered_list(service: Service, shop: str) -> None:
    body = {"filter": {"category": "Footwear"}, "fields_to_return": ["category"]}
    first = service.answer("allRecords?size=5&page=1", shop, body)
    second = service.answer("allRecords?size=5&page=2", shop, body)
    assert first["answer_count"] == 5
    assert second["answer_count"] == 3
    assert "next" not in second
    records = first["answer_records"] + second["answer_records"]
    assert records == service.answer("allRecords", shop, body)["answer_records"]
    assert {r["category"] for r in records} == {"Footwear"}


@pytest.mark.parametrize(
    "query", ["size=x", "size=-1", "size=2&page=0", "size=2&page=x", "size=2.5"]
)
def test_wrong_pages_are_refused(query: str, service: Service, shop: str) -> None:
    answer = service.call(f"allRecords?{query}", shop, {})
    assert answer.status_code == 400
    assert query.rpartition("&")[2].partition("=")[0] in answer.json()["detail"]


# 5. and 14. Searches


def search(service: Service, collection: str, query: object, **fields: Any) -> dict[str, Any]:
    """The counts and the order of distances are checked of every answer; see `check_answer`."""
    answer = service.answer("visualKNN", collection, {"query_record": query, **fields})
    assert answer["status"] == {"code": 200, "text": "OK"}
    assert len(answer["answer_distances"]) == answer["answer_count"]
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [record["_id"] for record in answer["answer_records"]]


def test_the_record_itself_is_first(service: Service, shop: str, products: list[DemoPhoto]) -> None:
    for photo in products:
        answer = search(service, shop, {"_id": photo.id}, k=3)
        assert ids(answer)[0] == photo.id
        assert answer["answer_distances"][0] == 0


def test_a_filter_that_excludes_the_record_itself(service: Service, shop: str) -> None:
    answer = search(
        service, shop, {"_id": "1"}, filter={"category": "Footwear"}, fields_to_return=["category"]
    )
    assert answer["answer_count"] == 8
    assert {r["category"] for r in answer["answer_records"]} == {"Footwear"}
    answer = search(service, shop, {"_id": "1"}, filter={"category": "no such"})
    assert answer["answer_records"] == []
    assert answer["answer_distances"] == []


def test_filters_apply_before_the_cut(
    service: Service, shop: str, products: list[DemoPhoto]
) -> None:
    wanted = {photo.id for photo in products if photo.category in ("Juices", "Alcohol")}
    filter_ = {"category": {"$in": ["Juices", "Alcohol"]}}
    answer = search(service, shop, {"_id": "1"}, k=len(wanted), filter=filter_)
    assert set(ids(answer)) == wanted
    for spelling in (
        {"$and": [filter_, {"department": "Groceries"}]},
        {"category": {"$in": ["Juices", "Alcohol"]}, "department": {"$eq": "Groceries"}},
    ):
        assert ids(search(service, shop, {"_id": "1"}, k=99, filter=spelling)) == ids(answer)


@pytest.mark.parametrize("k", [None, 0, 1, 30, 45, 46, 10_000, 10**9])
def test_k(k: int | None, service: Service, shop: str) -> None:
    answer = search(service, shop, {"_id": "1"}, **({} if k is None else {"k": k}))
    assert answer["answer_count"] == min(30 if k is None else k, 45)
    assert search(service, shop, {"_id": "1"}, k=k)["answer_records"] == answer["answer_records"]


@pytest.mark.parametrize("step", [1, 7, 20])
@pytest.mark.parametrize(
    "filter_",
    [None, {"category": "Footwear"}, {"department": {"$in": ["Apparel", "Groceries"]}}],
    ids=["all", "without itself", "two departments"],
)
def test_pages_of_a_ranking_are_the_whole_ranking_cut_in_pieces(
    step: int,
    filter_: dict[str, Any] | None,
    service: Service,
    shop: str,
    thumbnails: dict[str, bytes],
) -> None:
    by_image = {"_base64": base64_of(thumbnails["1"])}
    for query in ({"_id": "1"}, by_image) if step > 1 else ({"_id": "1"},):
        whole = search(service, shop, query, k=100, filter=filter_)
        pieces: list[tuple[str, float]] = []
        for begin in range(0, 45 + step, step):
            piece = search(service, shop, query, k=step, filter=filter_, **{"from": begin})
            pieces += zip(ids(piece), piece["answer_distances"], strict=True)
        assert pieces == list(zip(ids(whole), whole["answer_distances"], strict=True))


def test_from_beyond_the_end(service: Service, shop: str) -> None:
    for method in ("visualKNN", "visualTagsKNN"):
        for begin in (45, 46, 10_000):
            body = {"query_record": {"_id": "1"}, "from": begin}
            assert service.answer(method, shop, body)["answer_records"] == []
        for begin in (10**6, 2**63, 2**70):
            refused = service.call(method, shop, {"query_record": {"_id": "1"}, "from": begin})
            assert refused.status_code == 400
            assert "from" in refused.json()["detail"]


def test_radius(service: Service, shop: str, thumbnails: dict[str, bytes]) -> None:
    whole = search(service, shop, {"_id": "1"}, k=45)
    assert ids(search(service, shop, {"_id": "1"}, radius=0)) == ["1"]
    for radius in (0.0, whole["answer_distances"][7], 0.3, 2, 1e9):
        within = [distance for distance in whole["answer_distances"] if distance <= radius]
        answer = search(service, shop, {"_id": "1"}, k=45, radius=radius)
        assert answer["answer_distances"] == within
        assert ids(answer) == ids(whole)[: len(within)]
    image = {"_base64": base64_of(thumbnails["1"])}
    assert ids(search(service, shop, image, radius=1e-4)) == ["1"]


def test_the_same_image_is_at_distance_zero(
    service: Service, shop: str, thumbnails: dict[str, bytes]
) -> None:
    """By its bytes as by its id: the stored vector is the one that the image gives."""
    for id_ in ("1", "26", "40"):
        by_id = search(service, shop, {"_id": id_}, k=45)
        by_image = search(service, shop, {"_base64": base64_of(thumbnails[id_])}, k=45)
        assert by_image["answer_distances"] == pytest.approx(by_id["answer_distances"], abs=1e-4)
        assert ids(by_image)[0] == id_


def test_an_unknown_id_with_a_image_is_searched_by_the_image(
    service: Service, shop: str, thumbnails: dict[str, bytes], file_server: FileServer
) -> None:
    url = file_server.add("/26.jpg", thumbnails["26"])
    assert ids(search(service, shop, {"_id": "not stored", "_url": url}, k=1)) == ["26"]
    # The stored record wins where there is one, and `_base64` wins over `_url`.
    assert ids(search(service, shop, {"_id": "1", "_url": url}, k=1)) == ["1"]
    query = {"_base64": base64_of(thumbnails["1"]), "_url": url}
    assert ids(search(service, shop, query, k=1)) == ["1"]


def test_an_unknown_id_without_a_image(service: Service, shop: str) -> None:
    for method in ("visualKNN", "visualTagsKNN"):
        answer = service.answer(method, shop, {"query_record": {"_id": "not stored"}})
        assert answer["status"] == {"code": 404, "text": "records not found"}
        assert answer["answer_records"] == []


def test_tags_are_mixed_in(service: Service, shop: str, products: list[DemoPhoto]) -> None:
    """Weight 0 is the search without tags; weight 1 puts equal tags first; self is always first."""
    of = {photo.id: photo.tags for photo in products}
    body = {"query_record": {"_id": "6"}, "k": 45}
    plain = service.answer("visualKNN", shop, body)
    assert ids(service.answer("visualTagsKNN", shop, body | {"tag_weight": 0})) == ids(plain)
    by_tags = service.answer("visualTagsKNN", shop, body | {"tag_weight": 1})
    assert ids(by_tags)[0] == "6"
    shared = [len(set(of[id_]) & set(of["6"])) for id_ in ids(by_tags)[1:6]]
    assert min(shared) >= 3
    assert set(ids(by_tags)) == set(of)
    default = service.answer("visualTagsKNN", shop, body)
    assert ids(default)[0] == "6"
    asked = {"query_record": {"_id": "6", "tags": of["26"]}, "k": 45, "tag_weight": 1}
    assert of[ids(service.answer("visualTagsKNN", shop, asked))[1]] == of["26"]


# 6. and 19. Ids


def test_ids_are_strings_and_integers_are_accepted(
    service: Service, collection: str, image: str
) -> None:
    sent = [7, "x y/ž", -3, 2**70, "7.0"]
    records = [{"_id": id_, "_base64": image} for id_ in sent]
    answer = service.answer("insert", collection, {"records": records})
    assert ids(answer) == [str(id_) for id_ in sent]
    assert service.answer("insert", collection, {"records": [{"_id": "7", "_base64": image}]})[
        "skipped_records"
    ][0]["_reason"]["status"] == {"code": 211, "text": "record duplicate"}
    assert ids(search(service, collection, {"_id": 7}, k=1)) == ["7"]
    assert ids(service.answer("get", collection, {"records": [{"_id": 7}]})) == ["7"]
    answer = service.answer("update", collection, {"records": [{"_id": 7, "x": 1}]})
    assert answer["answer_records"] == [{"_id": "7", "x": 1}]
    assert ids(service.answer("delete", collection, {"records": [{"_id": -3}]})) == ["-3"]


def test_a_record_without_id_gets_a_uuid(service: Service, collection: str, image: str) -> None:
    records = [{"_base64": image}, {"_id": None, "_base64": image}]
    inserted = ids(service.answer("insert", collection, {"records": records}))
    assert [str(uuid.UUID(id_)) for id_ in inserted] == inserted
    assert sorted(service.ids(collection)) == sorted(inserted)


# 7. Unknown and null fields


def test_unknown_and_null_fields(service: Service, shop: str, image: str) -> None:
    more = {"extract_tags": None, "extract_colors": None, "something": {"deep": [1]}, "x": None}
    assert ids(search(service, shop, {"_id": "1", "tags": None, "zz": 1}, **more)) == ids(
        search(service, shop, {"_id": "1"})
    )
    nulls = {"k": None, "from": None, "radius": None, "filter": None, "fields_to_return": None}
    assert search(service, shop, {"_id": "1"}, **nulls)["answer_count"] == 30
    assert service.answer("allRecords", shop, more | nulls)["answer_count"] == 45
    assert service.answer("random", shop, more | nulls | {"count": None})["answer_count"] == 10
    answer = service.answer("get", shop, {"records": [{"_id": "1", "_base64": image}]} | nulls)
    assert answer["answer_records"] == [{"_id": "1"}]


# 8. Images


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_formats_with_and_without_data_header(
    format_: str, service: Service, shop: str, thumbnails: dict[str, bytes]
) -> None:
    data = base64_of(encoded(opened(thumbnails["26"]), format_))
    for text in (data, f"data:image/{format_.lower()};base64,{data}"):
        answer = search(service, shop, {"_base64": text}, k=1)
        assert ids(answer) == ["26"]
        assert answer["answer_distances"][0] < 0.05


def test_orientation_is_applied(service: Service, shop: str, thumbnails: dict[str, bytes]) -> None:
    upright = opened(thumbnails["26"])
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    query = {"_base64": base64_of(encoded(turned, "PNG", exif=exif.tobytes()))}
    assert search(service, shop, query, k=1)["answer_distances"][0] < 0.01


def test_images_are_fetched(
    service: Service, collection: str, thumbnails: dict[str, bytes], file_server: FileServer
) -> None:
    records = [
        {"_id": id_, "_url": file_server.add(f"/photos/{id_}.jpg", data)}
        for id_, data in itertools.islice(thumbnails.items(), 10)
    ]
    body = {"records": records, "fields_to_return": ["_url"]}
    assert service.answer("insert", collection, body)["answer_records"] == records
    answer = search(
        service, collection, {"_url": records[4]["_url"]}, k=1, fields_to_return=["_url"]
    )
    assert answer["answer_records"] == [records[4]]


# 9. fields_to_return


ODD = ["a.b", "a[0]", "a b", "", "é", 'a"b', "*a", "a\\b", "a,b", "_a-b", "0"]


@pytest.fixture(scope="module")
def odd(service: Service, image: str) -> tuple[str, dict[str, Any]]:
    """A record with odd field names, and the same again inside, where a path could find it."""
    collection = service.collection()
    fields = {name: f"value of {name}" for name in ODD} | {"a": {"b": "inside"}, "nothing": None}
    record = {"_id": "1", **fields}
    service.load(collection, [record | {"_base64": image}])
    return collection, record


def fields_answered(service: Service, collection: str, fields: Any) -> list[dict[str, Any]]:
    """By every method that answers records."""
    asked = {} if fields is ... else {"fields_to_return": fields}
    bodies: dict[str, dict[str, Any]] = {
        "get": {"records": [{"_id": "1"}]},
        "visualKNN": {"query_record": {"_id": "1"}},
        "visualTagsKNN": {"query_record": {"_id": "1", "tags": ["x"]}},
        "random": {},
        "allRecords": {},
        "allRecords?size=5": {},
    }
    return [
        service.answer(method, collection, body | asked)["answer_records"][0]
        for method, body in bodies.items()
    ]


@pytest.mark.parametrize("fields", [..., None, [], ["_id"], ["unknown"], ["_lookalike"]])
def test_the_id_always_comes_along(
    fields: Any, service: Service, odd: tuple[str, dict[str, Any]]
) -> None:
    for record in fields_answered(service, odd[0], fields):
        assert record == {"_id": "1"}


@pytest.mark.parametrize("fields", [["*"], ["*", "unknown"], ["_id", "*"]])
def test_a_star_is_everything(
    fields: Any, service: Service, odd: tuple[str, dict[str, Any]]
) -> None:
    for record in fields_answered(service, odd[0], fields):
        assert record == odd[1]
        assert next(iter(record)) == "_id"


@pytest.mark.parametrize("field", [*ODD, "nothing"])
def test_odd_names_are_names_and_no_paths(
    field: str, service: Service, odd: tuple[str, dict[str, Any]]
) -> None:
    for record in fields_answered(service, odd[0], [field]):
        assert record == {"_id": "1", field: odd[1][field]}


# 11. Duplicates, 12. codes, 13. delete


def codes(answer: dict[str, Any]) -> tuple[Any, ...]:
    skipped = [r["_reason"]["status"]["code"] for r in answer.get("skipped_records", [])]
    return answer["status"]["code"], ids(answer), skipped


def test_codes_of_insert(service: Service, collection: str, image: str) -> None:
    def insert(*records: dict[str, Any]) -> tuple[Any, ...]:
        return codes(service.answer("insert", collection, {"records": records}))

    def good(id_: str) -> dict[str, Any]:
        return {"_id": id_, "_base64": image}

    bad = {"_id": "bad", "_base64": base64_of(b"no picture")}
    assert insert() == (210, [], [])
    assert insert(good("a"), good("b")) == (210, ["a", "b"], [])
    assert insert(good("a"), good("c")) == (211, ["c"], [211])
    assert insert(good("d"), good("d")) == (211, ["d"], [211])
    assert insert(good("a"), good("b")) == (411, [], [211, 211])
    assert insert(good("e"), bad) == (211, ["e"], [422])
    assert insert(bad) == (400, [], [422])
    assert insert(good("a"), bad) == (400, [], [211, 422])
    assert sorted(service.ids(collection)) == ["a", "b", "c", "d", "e"]


def test_a_refused_record_comes_back_without_its_image(
    service: Service, collection: str, image: str
) -> None:
    record = {"_id": "1", "_url": "http://x.invalid/1.jpg", "_base64": image, "price": [1, None]}
    service.load(collection, [record])
    answer = service.answer("insert", collection, {"records": [record]})
    assert answer["status"] == {"code": 411, "text": "record duplicate"}
    del record["_base64"]
    assert answer["skipped_records"] == [
        record | {"_reason": {"status": {"code": 211, "text": "record duplicate"}}}
    ]


def test_codes_of_update_get_and_delete(service: Service, collection: str, image: str) -> None:
    service.load(collection, [{"_id": id_, "_base64": image, "n": 0} for id_ in "abcd"])

    def call(method: str, *names: str) -> tuple[Any, ...]:
        records = [{"_id": name, "seen": True} for name in names]
        answer = service.answer(method, collection, {"records": records})
        assert "skipped_records" not in answer
        return answer["status"]["code"], answer["status"]["text"], ids(answer)

    some, none = "some of the records not found", "records not found"
    assert call("get", "c", "a") == (205, "records found", ["c", "a"])
    assert call("get", "x", "a") == (206, some, ["a"])
    assert call("get", "x") == (404, none, [])
    assert call("get", "a", "a") == (205, "records found", ["a"])
    assert call("update", "b", "a") == (200, "OK", ["b", "a"])
    assert call("update", "b", "x") == (206, some, ["b"])
    assert call("update", "x") == (404, none, [])
    assert call("delete", "d", "a") == (220, "records deleted", ["d", "a"])
    assert call("delete", "a", "b") == (206, some, ["b"])
    assert call("delete", "a") == (404, none, [])
    assert service.ids(collection) == ["c"]


def test_update_merges_and_keeps_the_vector(
    service: Service, collection: str, thumbnails: dict[str, bytes]
) -> None:
    stored: dict[str, Any] = {"_id": "a", "price": 1, "tags": ["x"], "deep": {"b": 1, "c": 2}}
    service.load(collection, [stored | {"_base64": base64_of(thumbnails["1"])}])
    change: dict[str, Any] = {
        "_id": "a",
        "price": None,
        "deep": {"b": 3},
        "new": [],
        "_url": "http://x.test/",
    }
    body: dict[str, Any] = {"records": [change | {"_base64": base64_of(thumbnails["26"])}]}
    answer = service.answer("update", collection, body)
    assert answer["answer_records"] == [stored | change]
    answer = search(service, collection, {"_base64": base64_of(thumbnails["1"])})
    assert answer["answer_distances"][0] < 1e-4
    body = {"records": [{"_id": "a", "n": 1}, {"_id": "a", "n": 2}], "fields_to_return": ["n"]}
    assert service.answer("update", collection, body)["answer_records"] == [{"_id": "a", "n": 2}]


def test_delete_and_insert_again(
    service: Service, collection: str, thumbnails: dict[str, bytes]
) -> None:
    for id_ in ("1", "26"):
        record = {"_id": "same", "_base64": base64_of(thumbnails[id_]), "from": id_}
        assert service.answer("insert", collection, {"records": [record]})["status"]["code"] == 210
        answer = search(
            service, collection, {"_base64": record["_base64"]}, fields_to_return=["from"]
        )
        assert answer["answer_records"] == [{"_id": "same", "from": id_}]
        assert answer["answer_distances"][0] < 1e-4
        service.answer("delete", collection, {"records": [{"_id": "same"}]})
        assert search(service, collection, {"_base64": record["_base64"]})["answer_records"] == []


def test_delete_answers_the_fields_asked_for(service: Service, collection: str, image: str) -> None:
    service.load(collection, [{"_id": "a", "_base64": image, "n": 1}])
    body = {"records": [{"_id": "a", "_base64": image}], "fields_to_return": ["*"]}
    assert service.answer("delete", collection, body)["answer_records"] == [{"_id": "a", "n": 1}]


def test_delete_by_filter(service: Service, collection: str, image: str) -> None:
    service.load(collection, [{"_id": str(n), "_base64": image, "n": n % 3} for n in range(9)])
    answer = service.answer("deleteByFilter", collection, {"filter": {"n": {"$in": [0, 1]}}})
    assert answer["status"] == {"code": 220, "text": "records deleted"}
    assert answer["answer_count"] == 6
    assert sorted(service.ids(collection)) == ["2", "5", "8"]
    answer = service.answer("deleteByFilter", collection, {"filter": {"n": 0}})
    assert answer["status"] == {"code": 404, "text": "records not found"}
    nothing: list[dict[str, Any]] = [{}, {"filter": {}}, {"filter": None}]
    for body in nothing:
        refused = service.call("deleteByFilter", collection, body)
        assert refused.status_code == 400
    assert sorted(service.ids(collection)) == ["2", "5", "8"]


# Random


def test_random(service: Service, shop: str) -> None:
    assert service.answer("random", shop)["answer_count"] == 10
    draws = [ids(service.answer("random", shop, {"count": 20})) for _ in range(5)]
    assert all(len(set(draw)) == 20 for draw in draws)
    assert len({tuple(draw) for draw in draws}) == 5
    assert len(set().union(*draws)) > 35
    assert service.answer("random", shop, {"count": 0})["answer_records"] == []
    assert service.answer("random", shop, {"count": 10**9})["answer_count"] == 45
    body = {"filter": {"category": "Footwear"}, "fields_to_return": ["category"], "count": 100}
    answer = service.answer("random", shop, body)
    assert answer["answer_count"] == 8
    assert {r["category"] for r in answer["answer_records"]} == {"Footwear"}
    assert "answer_distances" not in answer


# 16. Headers


@pytest.mark.parametrize("authorization", ["Token abc", "JWT " + "x" * 80, "abc", None])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json;charset=UTF-8",
        "application/json; charset=utf-8",
        "text/plain",
        "application/x-www-form-urlencoded",
        None,
    ],
)
def test_header_forms(
    authorization: str | None, content_type: str | None, service: Service, shop: str
) -> None:
    for name in ("collection-id", "Collection-Id", "COLLECTION-ID"):
        headers = {name: shop, "AUTHORIZATION": authorization, "content-type": content_type}
        answer = service.http.post(
            "/similarity/products/v2/visualKNN",
            content=json.dumps({"query_record": {"_id": "1"}, "k": 1}),
            headers={key: value for key, value in headers.items() if value is not None},
        )
        assert answer.json()["answer_records"] == [{"_id": "1"}]


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


# 17. Large bodies


def test_ten_images_of_seven_megabytes(service: Service, collection: str) -> None:
    rng = np.random.default_rng(1)
    records = []
    for number in range(10):
        noise = rng.integers(0, 256, (700, 900, 3), dtype=np.uint8)
        data = encoded(Image.fromarray(noise), "JPEG", quality=92)
        records.append({"_id": str(number), "_base64": base64_of(data)})
    body = json.dumps({"records": records}).encode()
    assert len(body) > 7_000_000
    answer = service.http.post(
        "/similarity/photos/v2/insert", content=body, headers={"collection-id": collection}
    ).json()
    assert codes(answer) == (210, [str(number) for number in range(10)], [])


# 18. Page objects


@pytest.mark.parametrize("path", ["/similarity/v2/collection", "/account/v2/workspace"])
def test_page_objects(path: str, service: Service, shop: str) -> None:
    for url in (path, f"{path}/", f"/localhost{path}/"):
        page = service.http.get(url).json()
        assert page["next"] is None
        assert page["previous"] is None
        assert page["count"] == len(page["results"]) > 0


# 20. Underscored user fields


def test_underscored_fields_are_kept(service: Service, collection: str, image: str) -> None:
    kept = {"_id": "1", "_estate_id": "e1", "_tags": {"a": 1}, "_objects": [], "__x": 1}
    service.load(collection, [kept | {"_base64": image}])
    body = {"records": [{"_id": "1"}], "fields_to_return": ["*"]}
    assert service.answer("get", collection, body)["answer_records"] == [kept]
    answer = search(service, collection, {"_id": "1"}, filter={"_estate_id": "e1"})
    assert answer["answer_count"] == 1
