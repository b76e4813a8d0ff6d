"""Image matching by perceptual hashes, with and without a collection; colours."""

from __future__ import annotations

from typing import Any

import pytest
from ximilar.client import search as clients

from tests.contract.answers import ids
from tests.contract.images import image_of
from tests.contract.palette import COLOURS, png
from tests.service import Service


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
    for kinds in ("bmh1", ["bmh1"], [], None):
        again = call("visual_hash", {"records": records, "hash_type": kinds})["records"]
        assert again == hashes

    merged = call("remove_duplicates", {"records": records})
    assert [r["_ids"] for r in merged["answer_records"]] == [["1", "1 again"], ["2"]]
    assert [r["_indices"] for r in merged["answer_records"]] == [[0, 2], [3]]
    assert [r["_id"] for r in merged["skipped_records"]] == ["broken"]
    everything = call("remove_duplicates", {"records": records, "radius": 128})
    assert everything["answer_count"] == 1
    beyond = service.call("remove_duplicates", None, {"records": records, "radius": 129})
    assert beyond.json()["status"]["place"] == "$.radius"

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


def test_records_without_an_id_are_told_by_their_index(service: Service) -> None:
    """Images in base64 leave nothing in the answer that they could be told by."""
    images = [image_of(1), "no picture", image_of(1, 80, 80), image_of(2)]
    records = [{"_base64": image} for image in images]
    merged = service.call("remove_duplicates", None, {"records": records}, "image_matching").json()
    assert [r["_indices"] for r in merged["answer_records"]] == [[0, 2], [3]]
    assert [r["_index"] for r in merged["skipped_records"]] == [1]
    body = {"query_record": {"_base64": images[3]}, "records": records}
    ranked = service.call("rank_images", None, body, "image_matching").json()
    assert ranked["answer_records"][0] == {"_index": 3}
    assert ranked["skipped_records"][0]["_index"] == 1
    cut = service.call("rank_images", None, body | {"fields_to_return": []}, "image_matching")
    assert cut.json()["answer_records"] == ranked["answer_records"]
    numbered = {"records": [{"_id": 7, "_base64": images[0]}]}
    merged = service.call("remove_duplicates", None, numbered, "image_matching").json()
    assert merged["answer_records"] == [{"_id": "7", "_ids": ["7"], "_indices": [0]}]


@pytest.mark.parametrize("method", ["visual_hash", "remove_duplicates", "rank_images"])
def test_a_kind_of_hash_that_is_not_computed_is_refused(method: str, service: Service) -> None:
    body = {"records": [{"_base64": image_of(1)}], "query_record": {"_base64": image_of(1)}}
    for kinds, place in (("phash", "$.hash_type"), (["bmh1", "mine"], "$.hash_type[1]")):
        answer = service.call(method, None, body | {"hash_type": kinds}, "image_matching")
        assert answer.status_code == 400
        assert answer.json()["status"]["place"] == place


def test_image_matching_with_tags_is_a_search_without_them(service: Service) -> None:
    collection = service.collection(type="matching")
    records = [{"_id": str(n), "_base64": image_of(n), "tags": ["x"]} for n in (1, 2, 3)]
    service.load(collection, records)

    def search(method: str, **body: Any) -> dict[str, Any]:
        response = service.call(method, collection, body, "image_matching")
        assert response.status_code == 200, response.text
        content: dict[str, Any] = response.json()
        return content

    plain = search("visualKNN", query_record={"_id": "2"})
    stored = search("visualTagsKNN", query_record={"_id": "2"})
    assert stored["answer_distances"] == plain["answer_distances"]
    assert "ignored" not in stored["statistics"]
    given = search("visualTagsKNN", query_record={"_id": "2", "tags": "y"}, tag_weight=0.5, x=1)
    assert given["answer_distances"] == plain["answer_distances"]
    assert given["statistics"]["ignored"] == ["x", "query_record.tags", "tag_weight"]
    beyond = service.call("visualKNN", collection, {"query_record": {"_id": "2"}, "radius": 129})
    assert beyond.json()["status"]["place"] == "$.radius"
    assert search("visualKNN", query_record={"_id": "2"}, radius=128)["answer_count"] == 3


def test_image_matching_with_a_collection_through_the_official_client(service: Service) -> None:
    collection = service.collection(type="matching")
    client = clients.ImageMatchingSearchClient(
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
    client = clients.SimilarityColorsClient(
        token="any",
        collection_id=collection,
        endpoint=f"{service.url}/localhost/similarity/colors/v2/",
    )
    client.insert([{"_id": n, "_base64": png(c, 64), "noresize": True} for n, c in COLOURS.items()])
    answer = client.search({"_base64": png((245, 5, 5), 64), "noresize": True}, k=3)
    assert answer["answer_records"][0]["_id"] == "red"
    assert "blue" not in ids(answer)
