"""Every search over HTTP, with an embedder whose distances can be told by hand."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from ximilar.client import search

from tests.file_server import FileServer
from tests.live import LiveServer, live_server
from tests.service import Service

PLUGIN = Path(__file__).parent / "plugin"

COLOURS = {
    "red": (250, 0, 0),
    "rose": (250, 90, 90),
    "orange": (250, 120, 0),
    "yellow": (250, 250, 0),
    "green": (0, 250, 0),
    "teal": (0, 200, 200),
    "blue": (0, 0, 250),
    "navy": (0, 0, 125),
}
"""`navy` has the direction of `blue`, nearly: as good as the same to this embedder."""

TAGS = {
    "red": ["warm"],
    "rose": ["warm", "soft"],
    "yellow": ["warm", "bright"],
    "green": ["bright"],
}
KINDS = {"red": "a", "rose": "a", "orange": "b", "yellow": "b", "green": 1, "teal": 1.0}


def png(colour: tuple[int, int, int], side_px: int = 2) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (side_px, side_px), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def distance(one: str, other: str) -> float:
    a, b = ([channel + 1 for channel in COLOURS[name]] for name in (one, other))
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - product / (math.hypot(*a) * math.hypot(*b))


def record(name: str, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"_id": name, "_base64": png(COLOURS[name]), "hex": name.upper()}
    if name in TAGS:
        given["tags"] = TAGS[name]
    if name in KINDS:
        given["kind"] = KINDS[name]
    return given | more


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    environment = {"PYTHONPATH": str(PLUGIN), "LOOKALIKE_FETCH_ALLOW": "127.0.0.1"}
    with live_server(tmp_path_factory.mktemp("data"), environment) as running:
        yield running


@pytest.fixture(scope="module")
def service(server: LiveServer) -> Iterator[Service]:
    client = Service(server.url)
    yield client
    client.close()


def filled(service: Service, **settings: Any) -> str:
    collection = service.collection(embedder="palette", **settings)
    answer = service.answer("insert", collection, {"records": [record(name) for name in COLOURS]})
    assert answer["status"]["code"] == 210
    return collection


@pytest.fixture(scope="module")
def paints(service: Service) -> str:
    return filled(service, fields_to_index=["hex"])


def ids(answer: dict[str, Any]) -> list[str]:
    return [record["_id"] for record in answer["answer_records"]]


def nearest_to(name: str) -> list[str]:
    return sorted(COLOURS, key=lambda other: (round(distance(name, other), 6), other))


# By what is looked for


def test_by_id_image_and_url(service: Service, paints: str, file_server: FileServer) -> None:
    image = base64.b64decode(png(COLOURS["teal"]))
    for record_ in (
        {"_id": "teal"},
        {"_base64": png(COLOURS["teal"])},
        {"_url": file_server.add("/teal.png", image)},
        {"_id": "new", "_base64": png(COLOURS["teal"])},
    ):
        answer = service.answer("visualKNN", paints, {"query_record": record_})
        assert ids(answer) == nearest_to("teal")
        expected = [distance("teal", name) for name in nearest_to("teal")]
        assert answer["answer_distances"] == pytest.approx(expected, abs=2e-6)


def test_text_in_its_own_method_and_in_any_query(service: Service, paints: str) -> None:
    body = {"query_record": {"_text_data": "something yellow"}, "k": 3}
    for prefix in ("similarity/text/photo", "similarity/text/fashion", "photo/text"):
        response = service.call("text", paints, body, prefix)
        assert ids(response.json()) == ["yellow", "orange", "rose"]
    assert ids(service.answer("visualKNN", paints, body)) == ["yellow", "orange", "rose"]
    mixed = {"query_record": {"_text_data": "blue", "_id": "red", "_base64": png((0, 9, 0))}}
    assert ids(service.call("text", paints, mixed, "similarity/text/photo").json())[0] == "blue"
    several = {"query_records": [{"_text_data": "blue"}, {"_id": "red"}], "k": 3}
    assert set(ids(service.answer("visualKNN", paints, several))) == {"blue", "navy", "red"}
    ranked = {"query_record": {"_text_data": "green"}, "records": [{"_id": "red"}, {"_id": "teal"}]}
    assert ids(service.answer("visualRankRecords", paints, ranked)) == ["teal", "red"]


def test_text_through_the_official_client(service: Service, paints: str) -> None:
    client = search.SimilarityPhotosClient(
        token="any",
        collection_id=paints,
        endpoint=f"{service.url}/localhost/similarity/text/photo/v2/",
    )
    client.PREDICT_ENDPOINT = "text"
    answer = client.search({"_text_data": "blue green"}, k=2, filter={"hex": {"$ne": "NAVY"}})
    assert ids(answer) == ["teal", "blue"] or ids(answer) == ["teal", "green"]
    ranked = client.search_and_rank({"_id": "red"}, [{"_id": "blue"}, {"_id": "rose"}])
    assert ids(ranked) == ["rose", "blue"]


def test_without_a_text_tower_the_answer_says_so(service: Service) -> None:
    collection = service.collection()
    for method in ("text", "visualKNN"):
        body = {"query_record": {"_text_data": "a red shoe"}}
        response = service.call(method, collection, body)
        assert response.status_code == 400
        assert "text tower" in response.json()["detail"]
        assert response.json()["status"]["place"] == "$.query_record._text_data"


def test_several_images_with_and_without_weights(service: Service, paints: str) -> None:
    queries = [{"_id": "red"}, {"_base64": png(COLOURS["blue"])}]
    answer = service.answer("visualKNN", paints, {"query_records": queries})
    nearest = {n: min(distance("red", n), distance("blue", n)) for n in COLOURS}
    for name, found in zip(ids(answer), answer["answer_distances"], strict=True):
        assert found == pytest.approx(nearest[name], abs=2e-6)
    assert sorted(ids(answer)) == sorted(COLOURS)
    weighted = service.answer("visualKNN", paints, {"query_records": queries, "weights": [3, 1]})
    mean = {n: (3 * distance("red", n) + distance("blue", n)) / 4 for n in COLOURS}
    assert ids(weighted) == sorted(COLOURS, key=lambda n: mean[n])
    expected = sorted(mean.values())
    assert weighted["answer_distances"] == pytest.approx(expected, abs=2e-6)


def test_examples_of_what_is_wanted_and_what_is_not(service: Service, paints: str) -> None:
    wanted = service.answer("visualKNN", paints, {"positive": [{"_id": "red"}, {"_id": "yellow"}]})
    assert ids(wanted)[0] == "orange"
    assert not {"red", "yellow"} & set(ids(wanted))
    body = {"positive": [{"_id": "orange"}], "negative": [{"_base64": png(COLOURS["green"])}]}
    moved = service.answer("visualKNN", paints, body)
    assert ids(moved)[:2] == ["red", "rose"]


def test_a_part_of_a_image(service: Service, paints: str) -> None:
    image = Image.new("RGB", (40, 20), COLOURS["blue"])
    image.paste(COLOURS["red"], (0, 0, 20, 20))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    half = {"_base64": base64.b64encode(buffer.getvalue()).decode()}
    for crop, name in (([0, 0, 0.5, 1], "red"), ([20, 0, 40, 20], "blue")):
        for query in (half, half | {"_id": "green"}):
            body = {"query_record": query | {"_crop": crop}, "k": 1}
            assert ids(service.answer("visualKNN", paints, body)) == [name]
    response = service.call(
        "visualKNN", paints, {"query_record": {"_id": "red", "_crop": [0, 0, 1, 1]}}
    )
    assert response.status_code == 400


# What is answered


def test_k_from_radius_and_fields(service: Service, paints: str) -> None:
    whole = nearest_to("red")
    body: dict[str, Any] = {"query_record": {"_id": "red"}}
    for offset in range(9):
        page = service.answer("visualKNN", paints, body | {"k": 3, "from": offset})
        assert ids(page) == whole[offset : offset + 3]
    radius = distance("red", "orange") + 1e-5
    within = [name for name in whole if distance("red", name) <= radius]
    assert ids(service.answer("visualKNN", paints, body | {"radius": radius})) == within
    assert ids(service.answer("visualRange", paints, body | {"radius": radius})) == within
    answer = service.answer("visualKNN", paints, body | {"k": 1, "fields_to_return": ["hex", "no"]})
    assert answer["answer_records"] == [{"_id": "red", "hex": "RED"}]
    assert service.answer("visualKNN", paints, body | {"k": 0})["answer_count"] == 0


def test_products_instead_of_photos(service: Service) -> None:
    collection = filled(service, product_id_field="kind")
    body: dict[str, Any] = {"query_record": {"_id": "rose"}, "fields_to_return": ["_product_count"]}
    answer = service.answer("visualKNN", collection, body)
    firsts, seen = [], set()
    for name in nearest_to("rose"):
        kind = KINDS.get(name, name)
        if kind not in seen:
            seen.add(kind)
            firsts.append(name)
    assert ids(answer) == firsts
    counts = {r["_id"]: r["_product_count"] for r in answer["answer_records"]}
    assert counts[firsts[0]] == 2
    assert counts["blue"] == counts["navy"] == 1
    flat = service.answer("visualKNN", collection, body | {"group_by": ""})
    assert ids(flat) == nearest_to("rose")
    pairs = service.answer("visualKNN", collection, body | {"group_size": 2, "k": 1})
    assert ids(pairs) == ["rose", "red"]
    second = service.answer("visualKNN", collection, body | {"k": 1, "from": 1})
    assert ids(second) == firsts[1:2]
    photos = service.answer("nearDuplicates", collection, {"query_record": {"_id": "blue"}})
    assert ids(photos)[0] == "blue"
    by_tags = service.answer("visualTagsKNN", collection, body)
    assert len({KINDS.get(name, name) for name in ids(by_tags)}) == len(ids(by_tags)) == 5


def test_other_groups_on_request(service: Service, paints: str) -> None:
    body = {"query_record": {"_id": "red"}, "group_by": "kind", "k": 2}
    assert ids(service.answer("visualKNN", paints, body)) == ["red", "orange"]


def test_diverse(service: Service, paints: str) -> None:
    body: dict[str, Any] = {"query_record": {"_id": "blue"}, "k": 3}
    assert ids(service.answer("visualKNN", paints, body)) == ["blue", "navy", "teal"]
    diverse = ids(service.answer("visualKNN", paints, body | {"diversity": 0.9}))
    assert diverse[0] == "blue"
    assert "navy" not in diverse


# Tags


def tags_apart(one: list[str], other: list[str]) -> float:
    if not one or not other:
        return 1.0
    return 1 - len({*one} & {*other}) / math.sqrt(len(one) * len(other))


def test_images_and_tags(service: Service) -> None:
    collection = filled(service, tag_weight=0.6)
    kept = service.http.get(f"/similarity/v2/collection/{collection}").json()
    assert (kept["tag_weight"], kept["tag_idf"]) == (0.6, False)

    def check(body: dict[str, Any], weight: float, name: str, tags: list[str]) -> None:
        answer = service.answer("visualTagsKNN", collection, body)
        for other, found in zip(ids(answer), answer["answer_distances"], strict=True):
            fused = (1 - weight) * distance(name, other) + weight * tags_apart(
                tags, TAGS.get(other, [])
            )
            own = other == body["query_record"].get("_id")
            assert found == (0 if own else pytest.approx(fused, abs=2e-6)), other

    green = {"_base64": png(COLOURS["green"]), "tags": ["warm", "soft"]}
    check({"query_record": green}, 0.6, "green", ["warm", "soft"])
    check({"query_record": green, "tag_weight": 0.1}, 0.1, "green", ["warm", "soft"])
    check({"query_record": {"_id": "yellow"}}, 0.6, "yellow", TAGS["yellow"])
    check({"query_record": {"_id": "yellow", "tags": None}}, 0.6, "yellow", TAGS["yellow"])
    check({"query_record": {"_id": "yellow", "tags": ["soft"]}}, 0.6, "yellow", ["soft"])
    check({"query_record": green, "filter": {"hex": {"$regex": "E"}}}, 0.6, "green", green["tags"])  # type: ignore[arg-type]
    plain = service.answer("visualKNN", collection, {"query_record": {"_id": "blue"}})
    untagged = service.answer("visualTagsKNN", collection, {"query_record": {"_id": "blue"}})
    assert untagged["answer_distances"] == plain["answer_distances"]

    service.http.patch(f"/similarity/v2/collection/{collection}", json={"tag_weight": 1.0})
    service.answer("update", collection, {"records": [{"_id": "navy", "tags": ["soft", "warm"]}]})
    answer = service.answer("visualTagsKNN", collection, {"query_record": green, "k": 2})
    assert sorted(ids(answer)) == ["navy", "rose"]
    assert answer["answer_distances"] == [0.0, 0.0]


def test_rare_tags_count_more_where_the_collection_says_so(service: Service) -> None:
    collection = filled(service, tag_weight=1.0, tag_idf=True)
    kept = service.http.get(f"/similarity/v2/collection/{collection}").json()
    assert kept["tag_idf"] is True
    body = {"query_record": {"_base64": png((9, 9, 9)), "tags": ["warm", "soft", "nobody's"]}}
    answer = service.answer("visualTagsKNN", collection, body)

    def rarity(count: int) -> float:
        return math.log(1 + (len(COLOURS) - count + 0.5) / (count + 0.5))

    weights = {"warm": rarity(3), "soft": rarity(1), "nobody's": rarity(0)}
    for name, found in zip(ids(answer), answer["answer_distances"], strict=True):
        share = sum(weights.get(tag, 0) for tag in TAGS.get(name, [])) / sum(weights.values())
        assert found == pytest.approx(1 - share, abs=2e-6)
    # Tags that come later count at once, and old records are not written again.
    service.answer("update", collection, {"records": [{"_id": "navy", "tags": ["soft"]}]})
    after = service.answer("visualTagsKNN", collection, body)
    assert ids(after)[:2] == ["rose", "navy"]
    response = service.http.patch(
        f"/similarity/v2/collection/{collection}", json={"tag_idf": False}
    )
    assert response.status_code == 400


# Ranking, duplicates


def test_stored_and_other_records_are_ranked_together(service: Service, paints: str) -> None:
    body: dict[str, Any] = {
        "query_record": {"_id": "red"},
        "records": [
            {"_id": "blue", "note": "mine"},
            {"_base64": png(COLOURS["orange"]), "name": "a picture"},
            {"_id": "rose", "hex": "given"},
            {"_id": "nobody"},
            {"_id": "broken", "_base64": "no picture"},
            {"_id": True},
        ],
        "fields_to_return": ["*"],
    }
    answer = service.answer("visualRankRecords", paints, body)
    assert answer["answer_records"] == [
        {"name": "a picture"},
        {"_id": "rose", "hex": "given", "tags": ["warm", "soft"], "kind": "a"},
        {"_id": "blue", "hex": "BLUE", "note": "mine"},
    ]
    expected = [distance("red", name) for name in ("orange", "rose", "blue")]
    assert answer["answer_distances"] == pytest.approx(expected, abs=2e-6)
    reasons = [r["_reason"]["status"]["code"] for r in answer["skipped_records"]]
    assert reasons == [404, 422, 400]
    assert not any("_base64" in r for r in answer["skipped_records"])
    near = service.answer("visualRankRecords", paints, body | {"radius": expected[0] + 1e-5})
    assert near["answer_count"] == 1
    assert service.answer("visualRankRecords", paints, body | {"k": 2})["answer_count"] == 2
    default = service.answer(
        "visualRankRecords",
        paints,
        {"query_record": {"_id": "red"}, "records": [{"_id": "rose", "_file": "r.png", "x": 1}]},
    )
    assert default["answer_records"] == [{"_id": "rose", "_file": "r.png"}]


def test_near_duplicates(service: Service, paints: str) -> None:
    body: dict[str, Any] = {"query_record": {"_id": "blue"}, "cand_set_size": 5}
    assert ids(service.answer("nearDuplicates", paints, body)) == ["blue", "navy"]
    wide = service.answer("nearDuplicates", paints, body | {"radius": 0.4})
    assert ids(wide) == [name for name in nearest_to("blue") if distance("blue", name) <= 0.4]


def test_near_duplicates_are_not_inserted(service: Service) -> None:
    collection = service.collection(embedder="palette")
    records = [record(name) for name in ("blue", "navy", "red", "rose")]
    body = {"records": records, "radius": 0.001, "cand_set_size": 1000}
    answer = service.answer("nearDupsInsert", collection, body)
    assert answer["status"]["code"] == 211
    assert ids(answer) == ["blue", "red", "rose"]
    (skipped,) = answer["skipped_records"]
    assert skipped["_id"] == "navy"
    reason = skipped["_reason"]
    assert reason["status"] == {"code": 211, "text": "near duplicate"}
    assert reason["near_duplicates"] == [{"_id": "blue"}]
    assert reason["distances"] == [pytest.approx(distance("blue", "navy"), abs=2e-6)]
    again = service.answer("nearDupsInsert", collection, {"records": [record("navy")]})
    assert again["status"]["code"] == 411


# Extensions


def test_descriptors_in_the_order_of_the_request(service: Service, paints: str) -> None:
    records = [{"_id": "red"}, {"_id": "nobody"}, {"_base64": png(COLOURS["blue"]), "x": 1}]
    answer = service.answer("descriptor", paints, {"records": records})
    assert answer["status"] == {"code": 200, "text": "OK"}
    red, nobody, blue = answer["records"]
    assert red["_descriptor"] == pytest.approx([0.99999, 0.00398, 0.00398], abs=1e-4)
    assert nobody["_status"]["code"] == 404
    assert "_descriptor" not in nobody
    assert blue["x"] == 1
    assert "_base64" not in blue
    assert blue["_status"] == {"code": 200, "text": "OK"}


def test_facets(service: Service, paints: str) -> None:
    answer = service.answer("facets", paints, {"field": "tags"})
    assert answer["facets"] == [
        {"value": "warm", "count": 3},
        {"value": "bright", "count": 2},
        {"value": "soft", "count": 1},
    ]
    body = {"field": "tags", "filter": {"hex": {"$in": ["RED", "GREEN"]}}, "limit": 1}
    assert service.answer("facets", paints, body)["facets"] == [{"value": "bright", "count": 1}]
    assert service.answer("facets", paints, {"field": "hex", "limit": 3})["facets"] == [
        {"value": name, "count": 1} for name in ("BLUE", "GREEN", "NAVY")
    ]
    kinds = service.answer("facets", paints, {"field": "kind"})["facets"]
    assert {"value": 1, "count": 2} in kinds


def test_random_with_a_seed(service: Service, paints: str) -> None:
    first = service.answer("random", paints, {"count": 5, "seed": 11})
    assert ids(service.answer("random", paints, {"count": 5, "seed": 11})) == ids(first)
    assert ids(service.answer("random", paints, {"count": 2, "seed": 11})) == ids(first)[:2]
    assert "answer_distances" not in first


# Image matching


def image_of(pattern: int, side_px: int = 96, quality: int = 0) -> str:
    """Blocks of grey, different for each pattern; as JPEG where a quality is given."""
    image = Image.new("L", (8, 8))
    image.putdata([(pattern * 7919 * (i + 1) ** 2 // 31) % 256 for i in range(64)])
    image = image.resize((side_px, side_px), Image.Resampling.BICUBIC).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality) if quality else image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_image_matching_without_a_collection(service: Service) -> None:
    records = [
        {"_id": "1", "_base64": image_of(1)},
        {"_id": "broken", "_base64": "no picture"},
        {"_id": "1 again", "_base64": image_of(1, 80, 80)},
        {"_id": "2", "_base64": image_of(2), "note": "mine"},
    ]

    def call(method: str, body: dict[str, Any]) -> dict[str, Any]:
        response = service.call(method, None, body, "image_matching")
        assert response.status_code == 200, response.text
        content: dict[str, Any] = response.json()
        return content

    hashes = call("visual_hash", {"records": records})["records"]
    assert [r["_id"] for r in hashes] == ["1", "broken", "1 again", "2"]
    assert hashes[1]["_status"]["code"] == 422
    assert len(bytes.fromhex(hashes[0]["_visual_hash"]["bmh1"])) == 16
    named = call("visual_hash", {"records": records[:1], "hash_type": "mine"})["records"]
    assert named[0]["_visual_hash"] == {"mine": hashes[0]["_visual_hash"]["bmh1"]}

    merged = call("remove_duplicates", {"records": records})
    assert [r["_ids"] for r in merged["answer_records"]] == [["1", "1 again"], ["2"]]
    assert [r["_id"] for r in merged["skipped_records"]] == ["broken"]
    everything = call("remove_duplicates", {"records": records, "radius": 128})
    assert everything["answer_count"] == 1

    ranked = call("rank_images", {"query_record": records[2], "records": records})
    assert ids(ranked)[:2] in (["1", "1 again"], ["1 again", "1"])
    assert ranked["answer_records"][2] == {"_id": "2", "note": "mine"}
    assert ranked["answer_distances"] == sorted(ranked["answer_distances"])
    assert ranked["answer_distances"][0] == 0
    assert all(distance == int(distance) for distance in ranked["answer_distances"])
    response = service.call(
        "rank_images", None, {"query_record": records[1], "records": records}, "image_matching"
    )
    assert response.status_code == 400


def test_image_matching_with_a_collection_through_the_official_client(service: Service) -> None:
    collection = service.collection(type="matching")
    client = search.ImageMatchingSearchClient(
        token="any",
        collection_id=collection,
        endpoint=f"{service.url}/localhost/image_matching/v2/",
    )
    client.insert([{"_id": str(n), "_base64": image_of(n), "noresize": True} for n in (1, 2, 3)])
    answer = client.search({"_base64": image_of(2, 80, 80), "noresize": True}, k=3)
    assert answer["answer_records"][0]["_id"] == "2"
    assert answer["answer_distances"][0] <= 5 < answer["answer_distances"][1]
    near = service.answer("nearDuplicates", collection, {"query_record": {"_id": "2"}})
    assert ids(near) == ["2"]
    refused = service.answer(
        "nearDupsInsert", collection, {"records": [{"_id": "2b", "_base64": image_of(2, 80, 80)}]}
    )
    assert refused["skipped_records"][0]["_reason"]["near_duplicates"] == [{"_id": "2"}]


def test_colours(service: Service) -> None:
    collection = service.collection(type="colors")
    client = search.SimilarityColorsClient(
        token="any",
        collection_id=collection,
        endpoint=f"{service.url}/localhost/similarity/colors/v2/",
    )
    client.insert([{"_id": n, "_base64": png(c, 64), "noresize": True} for n, c in COLOURS.items()])
    answer = client.search({"_base64": png((245, 5, 5), 64), "noresize": True}, k=3)
    assert answer["answer_records"][0]["_id"] == "red"
    assert "blue" not in ids(answer)


# Errors

QUERY = {"query_record": {"_id": "red"}}

ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("visualKNN", {}, "$"),
    ("visualKNN", {"query_record": {}}, "$.query_record"),
    ("visualKNN", {"query_record": {"_id": []}}, "$.query_record._id"),
    ("visualKNN", {"query_record": {"_base64": "no picture"}}, "$.query_record"),
    ("visualKNN", {"query_record": {"_url": 7}}, "$.query_record"),
    ("visualKNN", {"query_record": {"_text_data": " "}}, "$.query_record._text_data"),
    ("visualKNN", QUERY | {"k": -1}, "$.k"),
    ("visualKNN", QUERY | {"from": 50_001}, "$.from"),
    ("visualKNN", QUERY | {"radius": -0.1}, "$.radius"),
    ("visualKNN", QUERY | {"diversity": 1.1}, "$.diversity"),
    ("visualKNN", QUERY | {"diversity": 0.5, "group_by": "kind"}, "$.diversity"),
    ("visualKNN", QUERY | {"group_size": 2}, "$.group_by"),
    ("visualKNN", QUERY | {"group_size": 0, "group_by": "kind"}, "$.group_size"),
    ("visualKNN", {"query_records": [{"_id": "red"}], "weights": [1, 2]}, "$.weights"),
    ("visualKNN", {"query_records": [{"_id": "red"}], "weights": [0]}, "$.weights[0]"),
    ("visualKNN", {"query_records": [{"_id": "red"}, {}]}, "$.query_records[1]"),
    ("visualKNN", {"query_records": [{"_id": "red"}] * 101}, "$.query_records"),
    ("visualKNN", {"negative": [{"_id": "red"}]}, "$.positive"),
    ("visualKNN", QUERY | {"filter": {"$where": "1"}}, "$.filter.$where"),
    ("visualTagsKNN", QUERY | {"tag_weight": 1.5}, "$.tag_weight"),
    ("visualRange", QUERY, "$.radius"),
    ("text", {}, "$.query_record._text_data"),
    ("text", QUERY, "$.query_record._text_data"),
    ("visualRankRecords", {"records": []}, "$"),
    ("visualRankRecords", QUERY, "$"),
    ("visualRankRecords", QUERY | {"records": [{"_id": "red"}] * 101}, "$.records"),
    ("nearDupsInsert", {}, "$"),
    ("descriptor", {}, "$"),
    ("descriptor", {"records": [{"_id": "red"}] * 101}, "$.records"),
    ("facets", {}, "$"),
    ("facets", {"field": ""}, "$.field"),
    ("facets", {"field": "hex", "limit": 0}, "$.limit"),
    ("random", {"seed": -1}, "$.seed"),
]


@pytest.mark.parametrize(
    ("method", "body", "place"), ERRORS, ids=[f"{m}-{p}-{i}" for i, (m, _, p) in enumerate(ERRORS)]
)
def test_errors_name_their_place(
    service: Service, paints: str, method: str, body: dict[str, Any], place: str
) -> None:
    response = service.call(method, paints, body)
    assert response.status_code == 400, response.text
    content = response.json()
    assert content["status"]["code"] == 400
    assert content["status"]["place"] == place, content
    assert content["detail"]


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("visualKNN", {"query_record": {"_id": "nobody"}}),
        ("visualTagsKNN", {"query_record": {"_id": "nobody", "tags": ["warm"]}}),
        ("visualRange", {"query_record": {"_id": "nobody"}, "radius": 1}),
        ("nearDuplicates", {"query_record": {"_id": "nobody"}}),
        ("visualKNN", {"query_records": [{"_id": "red"}, {"_id": "nobody"}]}),
        ("visualKNN", {"positive": [{"_id": "nobody"}]}),
        ("visualRankRecords", {"query_record": {"_id": "nobody"}, "records": []}),
    ],
)
def test_an_unknown_record_is_not_found(
    service: Service, paints: str, method: str, body: dict[str, Any]
) -> None:
    answer = service.answer(method, paints, body)
    assert answer["status"] == {"code": 404, "text": "records not found"}
    assert answer["answer_records"] == []


def test_weights_need_cosine_and_images_must_not_cancel_out(service: Service) -> None:
    collection = service.collection(type="matching")
    body = {"query_records": [{"_base64": image_of(1)}], "weights": [1]}
    response = service.call("visualKNN", collection, body)
    assert response.json()["status"]["place"] == "$.weights"


def test_searches_without_a_collection_are_refused(service: Service) -> None:
    for method in ("visualKNN", "facets", "descriptor", "nearDupsInsert"):
        assert service.call(method, None, {}).status_code in (400, 404)
