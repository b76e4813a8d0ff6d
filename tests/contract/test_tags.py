"""Images and tags: the distance is the weighted sum of both."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lookalike.cli.demo_images import DemoImage
from tests.contract.answers import codes, ids
from tests.contract.palette import COLOURS, TAGS, distance, filled, paint, png
from tests.service import Service


def test_tags_count_by_their_weight(service: Service, shop: str, products: list[DemoImage]) -> None:
    """Weight 0 is the search without tags; weight 1 puts equal tags first; with its own tags the
    stored query record is the first."""
    of = {product.id: product.tags for product in products}
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
    assert of[ids(service.answer("visualTagsKNN", shop, asked))[0]] == of["26"]


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
            assert found == pytest.approx(fused, abs=2e-6), other

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


def test_the_stored_query_record_is_in_its_place(service: Service) -> None:
    collection = service.collection(embedder="palette")
    records = [paint("red", _id="t0", tags=["a", "b"]), paint("orange", tags=["zzz"])]
    service.load(collection, records)
    body = {"query_record": {"_id": "t0", "tags": ["zzz"]}}
    answer = service.answer("visualTagsKNN", collection, body)
    apart = 0.75 * distance("red", "orange")
    assert list(zip(ids(answer), answer["answer_distances"], strict=True)) == [
        ("orange", pytest.approx(apart, abs=2e-6)),
        ("t0", 0.25),
    ]
    near = service.answer("visualTagsKNN", collection, body | {"radius": 0.24})
    assert ids(near) == ["orange"]
    grouped = service.answer("visualTagsKNN", collection, body | {"group_by": "hex", "k": 1})
    assert ids(grouped) == ["orange"]
    page = service.answer("visualTagsKNN", collection, body | {"from": 1, "k": 1})
    assert (ids(page), page["answer_distances"]) == (["t0"], [0.25])


FORMS: dict[str, dict[str, Any]] = {
    "text": {"tags": "warm"},
    "list": {"tags": ["warm"]},
    "number": {"tags": 38},
    "probabilities": {"tags": [{"name": "warm", "prob": 0.6}, {"name": "soft", "prob": 0.8}]},
    "map": {"tags": {"warm": 0.6, "soft": 0.8}},
    "categories": {
        "_tags": {"Feel": [{"name": "warm", "prob": 0.6}], "Touch": [{"name": "soft", "prob": 0.8}]}
    },
    "simple": {"_tags_simple": ["warm", "soft"]},
    "first": {"tags": ["warm"], "_tags": {"soft": 1}, "_tags_simple": ["soft"]},
    "second": {"_tags": {"soft": 1}, "_tags_simple": ["warm"]},
    "none": {"tags": [], "_tags": {"soft": 1}},
    "": {},
}
APART = {  # from the tags warm, 0.6, and soft, 0.8
    **{"text": 0.4, "list": 0.4, "number": 1.0, "probabilities": 0.0, "map": 0.0},
    **{"categories": 0.0, "simple": 1 - 1.4 / math.sqrt(2), "first": 0.4, "second": 0.2},
    **{"none": 1.0, "": 1.0},
}


@pytest.mark.parametrize("way", ["inserted", "updated"])
def test_every_form_of_the_provider_s_services_counts(service: Service, way: str) -> None:
    collection = service.collection(embedder="palette")
    image = png(COLOURS["red"])
    records = [{"_id": name} | fields for name, fields in FORMS.items() if name]
    records.append({"_id": "untagged"})
    if way == "inserted":
        service.load(collection, [record | {"_base64": image} for record in records])
    else:
        service.load(collection, [{"_id": r["_id"], "_base64": image} for r in records])
        answer = service.answer("update", collection, {"records": records})
        assert answer["status"]["code"] == 200
    for query in ("probabilities", "map", "categories"):
        asked = {"_base64": image, **FORMS[query]}
        for record in (asked, {"_id": query}):
            body = {"query_record": record, "tag_weight": 1}
            answer = service.answer("visualTagsKNN", collection, body)
            for id_, found in zip(ids(answer), answer["answer_distances"], strict=True):
                expected = APART["" if id_ == "untagged" else id_]
                assert found == pytest.approx(expected, abs=2e-6), id_
    assert service.stored(collection, "categories") == {"_id": "categories"} | FORMS["categories"]


def test_what_is_no_tag_is_refused_with_its_place(service: Service) -> None:
    collection = service.collection(embedder="palette")
    records = [
        paint("red", tags=[{"probability": 0.9}]),
        paint("rose", tags=None, _tags={"warm": "very"} | {"soft": {"x": 1}}),
        paint("green"),
    ]
    answer = service.answer("insert", collection, {"records": records})
    assert codes(answer) == (211, ["green"], [400, 400])
    texts = [r["_reason"]["status"]["text"] for r in answer["skipped_records"]]
    assert "(at tags[0])" in texts[0]
    assert "(at _tags.soft)" in texts[1]
    change = {"records": [{"_id": "green", "tags": {"bright": 1.1}, "hex": "x"}]}
    answer = service.answer("update", collection, change)
    assert answer["skipped_records"][0]["_reason"]["status"]["code"] == 400
    assert service.stored(collection, "green")["hex"] == "GREEN"


def test_several_images_have_the_tags_of_all_of_them(service: Service, paints: str) -> None:
    """Given or stored; or those of a query record that has nothing else."""

    def check(body: dict[str, Any], visual: dict[str, float], tags: list[str]) -> None:
        answer = service.answer("visualTagsKNN", paints, body | {"tag_weight": 0.5})
        assert set(ids(answer)) <= set(visual)
        assert len(ids(answer)) > 5
        for name, found in zip(ids(answer), answer["answer_distances"], strict=True):
            expected = (visual[name] + tags_apart(tags, TAGS.get(name, []))) / 2
            assert found == pytest.approx(expected, abs=2e-6), name

    two = [{"_id": "rose"}, {"_base64": png(COLOURS["blue"]), "tags": "cold"}]
    nearest = {n: min(distance("rose", n), distance("blue", n)) for n in COLOURS}
    check({"query_records": two}, nearest, ["warm", "soft", "cold"])
    check({"query_records": two, "query_record": {"tags": ["bright"]}}, nearest, ["bright"])
    mean = {n: (3 * distance("rose", n) + distance("blue", n)) / 4 for n in COLOURS}
    check({"query_records": two, "weights": [3, 1]}, mean, ["warm", "soft", "cold"])
    wanted = {n: distance("green", n) for n in COLOURS if n != "green"}
    check({"positive": [{"_id": "green"}]}, wanted, ["bright"])


def test_rare_tags_are_counted_in_every_form(service: Service) -> None:
    collection = service.collection(embedder="palette", tag_weight=1.0, tag_idf=True)
    records = [
        paint("red", tags={"warm": 0.5}),
        paint("rose", tags=["warm", {"name": "soft"}]),
        paint("green", _tags={"Feel": [{"name": "warm"}]}, tags=None),
        paint("blue"),
    ]
    service.load(collection, records)
    service.answer("update", collection, {"records": [{"_id": "blue", "tags": 5}]})
    body = {"query_record": {"_base64": png((9, 9, 9)), "tags": ["warm", "soft", "5"]}}
    answer = service.answer("visualTagsKNN", collection, body)

    def rarity(count: int) -> float:
        return math.log(1 + (4 - count + 0.5) / (count + 0.5))

    total = rarity(3) + 2 * rarity(1)
    expected = {
        "red": 1 - 0.5 * rarity(3) / total,
        "rose": 1 - (rarity(3) + rarity(1)) / total,
        "green": 1 - rarity(3) / total,
        "blue": 1 - rarity(1) / total,
    }
    found = dict(zip(ids(answer), answer["answer_distances"], strict=True))
    assert found == pytest.approx(expected, abs=2e-6)
