"""Two vectors of one collection side by side, over HTTP, while the service runs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.cli.demo_images import DemoImage
from tests.file_server import FileServer
from tests.live import LiveServer, lookalike
from tests.service import Service

COUNT = 40
ALLOW = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1"}
HEADER = "lookalike-vector"


def migrate(server: LiveServer, *arguments: str) -> str:
    done = lookalike("migrate", *arguments, "--data", str(server.data), environment=ALLOW)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def both(
    server: LiveServer, service: Service, file_server: FileServer, products: list[DemoImage]
) -> str:
    """A collection of real images, searched by their hashes, with their colours beside."""
    collection = service.collection(embedder="phash", type="matching")
    records = [
        {"_id": f"p{n}", "_url": file_server.add(f"/side/{n}.jpg", product.image), "n": n}
        for n, product in enumerate(products[:COUNT])
    ]
    service.answer("insert", collection, {"records": records})
    migrate(server, "up", collection, "--embedder", "colors", "--beside")
    assert service.view(collection)["alternative"]["complete"]
    return collection


def search(
    service: Service,
    collection: str,
    body: Any,
    vector: str | None = None,
    method: str = "visualKNN",
) -> httpx.Response:
    headers = {"collection-id": collection} | ({HEADER: vector} if vector else {})
    return service.http.post(f"/similarity/photos/v2/{method}", json=body, headers=headers)


def by_id(number: int, **more: Any) -> dict[str, Any]:
    return {"query_record": {"_id": f"p{number}"}, **more}


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [record["_id"] for record in response.json()["answer_records"]]


def vector_of(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    vector: str = response.json()["statistics"]["vector"]
    return vector


def test_the_collection_shows_both(service: Service, both: str) -> None:
    shown = service.view(both)
    assert (shown["vector"], shown["embedder"], shown["distance"]) == (
        *("visual", "phash"),
        "manhattan",
    )
    other = shown["alternative"]
    assert (other["vector"], other["embedder"], other["share"]) == ("visual-2", "colors", 0.0)


def test_a_header_picks_one_and_the_statistics_name_it(
    service: Service, both: str, products: list[DemoImage]
) -> None:
    answers = {
        name: search(service, both, by_id(3, k=COUNT), name) for name in ("visual", "visual-2")
    }
    for name, answer in answers.items():
        assert vector_of(answer) == name
        assert (len(ids(answer)), ids(answer)[0]) == (COUNT, "p3")
    assert answers["visual"].json()["statistics"]["embedder"] == "phash"
    assert answers["visual-2"].json()["statistics"]["embedder"] == "colors"
    assert ids(answers["visual"]) != ids(answers["visual-2"])
    assert ids(search(service, both, by_id(3, k=COUNT))) == ids(answers["visual"])

    image = base64.b64encode(products[3].image).decode()
    by_image = {"query_record": {"_base64": image}, "k": 3}
    for name, answer in answers.items():
        found = search(service, both, by_image, name)
        assert ids(found) == ids(answer)[:3], "an image is embedded for the vector it searches"
        assert found.json()["answer_distances"][0] == pytest.approx(0, abs=1e-6)
    ranked = {"query_record": {"_id": "p3"}, "records": [{"_id": f"p{n}"} for n in range(5)]}
    assert vector_of(search(service, both, ranked, "visual-2", "visualRankRecords")) == "visual-2"


def test_a_wrong_name_is_refused(service: Service, both: str) -> None:
    answer = search(service, both, by_id(3), "visual-9")
    assert answer.status_code == 400
    assert HEADER in answer.text
    alone = service.collection(embedder="colors", type="colors")
    assert search(service, alone, {"query_record": {"_id": "x"}}, "visual-2").status_code == 400
    assert service.change(alone, alternative_share=0.5).status_code == 409


def test_a_share_of_the_queries_goes_to_the_other_and_pages_fit_together(
    service: Service, both: str
) -> None:
    assert service.change(both, alternative_share=0.5).json()["alternative"]["share"] == 0.5
    chosen = [vector_of(search(service, both, by_id(n, k=5))) for n in range(COUNT)]
    assert 8 <= chosen.count("visual-2") <= 32, "half of 40, by a hash"
    for number in range(0, COUNT, 4):
        pages = [search(service, both, by_id(number, k=5, **{"from": at})) for at in (0, 5, 10)]
        assert {vector_of(page) for page in pages} == {chosen[number]}
        together = [id_ for page in pages for id_ in ids(page)]
        assert together == ids(search(service, both, by_id(number, k=15), chosen[number]))
    assert vector_of(search(service, both, by_id(3), "visual")) == "visual", "a header goes before"
    for share, vector in ((1.0, "visual-2"), (0.0, "visual")):
        service.change(both, alternative_share=share)
        assert {vector_of(search(service, both, by_id(n))) for n in range(8)} == {vector}
    headers = {"collection-id": both}
    broken = service.http.post("/similarity/photos/v2/visualKNN", content=b"{", headers=headers)
    assert broken.status_code == 400


def test_inserts_go_into_both_and_deletes_out_of_both(
    service: Service, both: str, products: list[DemoImage]
) -> None:
    image = base64.b64encode(products[COUNT].image).decode()
    service.answer("insert", both, {"records": [{"_id": "new", "_base64": image}]})
    query = {"query_record": {"_base64": image}, "k": 1}
    for name in ("visual", "visual-2"):
        assert ids(search(service, both, query, name)) == ["new"]
    service.answer("update", both, {"records": [{"_id": "new", "price": 7}]})
    query["filter"] = {"price": 7}
    for name in ("visual", "visual-2"):
        assert ids(search(service, both, query, name)) == ["new"]
    service.answer("delete", both, {"records": [{"_id": "new"}]})
    for name in ("visual", "visual-2"):
        assert ids(search(service, both, query, name)) == []


def test_a_vector_that_is_being_filled_answers_nothing_yet(
    server: LiveServer, service: Service, products: list[DemoImage], tmp_path: Path
) -> None:
    collection = service.collection(embedder="phash", type="matching")
    image = base64.b64encode(products[0].image).decode()
    service.answer("insert", collection, {"records": [{"_id": "gone", "_base64": image}]})
    done = lookalike(
        *("migrate", "up", collection, "--embedder", "colors", "--data", str(server.data)),
        environment=ALLOW,
        folder=tmp_path,
    )
    assert done.returncode == 1
    assert "unreadable.jsonl" in done.stderr
    assert (
        search(service, collection, {"query_record": {"_id": "gone"}}, "visual-2").status_code
        == 409
    )
    assert service.change(collection, alternative_share=0.5).status_code == 409
    assert "being filled, 1 records without it" in migrate(server, "status")
    assert "visual-2 is deleted." in migrate(server, "drop", collection, "--yes")
    assert service.view(collection)["alternative"] is None
    answer = search(service, collection, {"query_record": {"_id": "gone"}})
    assert ids(answer) == ["gone"]
    assert "vector" not in answer.json()["statistics"]
