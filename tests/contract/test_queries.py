"""What can be looked for: an id, an image, a text, several of them, examples."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ximilar.client import search as clients

from tests.contract.answers import ids
from tests.contract.palette import COLOURS, distance, nearest_to, png
from tests.file_server import FileServer
from tests.service import Service


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
    of_all_kinds = {"query_record": {"_text_data": "blue", "_id": "red", "_base64": png((0, 9, 0))}}
    assert (
        ids(service.call("text", paints, of_all_kinds, "similarity/text/photo").json())[0] == "blue"
    )
    several = {"query_records": [{"_text_data": "blue"}, {"_id": "red"}], "k": 3}
    assert set(ids(service.answer("visualKNN", paints, several))) == {"blue", "navy", "red"}
    ranked = {"query_record": {"_text_data": "green"}, "records": [{"_id": "red"}, {"_id": "teal"}]}
    assert ids(service.answer("visualRankRecords", paints, ranked)) == ["teal", "red"]


def test_text_through_the_official_client(service: Service, paints: str) -> None:
    client = clients.SimilarityPhotosClient(
        token="any",
        collection_id=paints,
        endpoint=f"{service.url}/localhost/similarity/text/photo/v2/",
    )
    client.PREDICT_ENDPOINT = "text"
    answer = client.search({"_text_data": "blue green"}, k=2, filter={"hex": {"$ne": "NAVY"}})
    assert ids(answer) == ["teal", "blue"] or ids(answer) == ["teal", "green"]
    ranked = client.search_and_rank({"_id": "red"}, [{"_id": "blue"}, {"_id": "rose"}])
    assert ids(ranked) == ["rose", "blue"]


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
