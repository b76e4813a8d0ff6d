"""Pictures from where clients have them: data URLs, origins that refuse, private origins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.answers import codes, ids, search
from tests.contract.conftest import Connect, NewServer
from tests.contract.images import base64_of
from tests.file_server import FileServer
from tests.live import lookalike
from tests.service import Service
from tests.waiting import wait_until

SECRET = "Bearer s3cret-of-the-origin"
COLLECTIONS = "/similarity/v2/collection/"


@pytest.fixture(scope="module")
def other_origin() -> Iterator[FileServer]:
    """Another port is another origin."""
    files = FileServer()
    yield files
    files.close()


def forms(data: bytes) -> dict[str, str]:
    return {
        "base64": f"data:image/jpeg;base64,{base64_of(data)}",
        "quoted": f" Data:image/jpeg;base64,{quote(base64_of(data).rstrip('='))}",
        "percent": f"data:image/jpeg,{quote(data)}",
    }


@pytest.mark.parametrize("form", ["base64", "quoted", "percent"])
def test_a_data_url_is_read_and_never_kept(
    form: str, service: Service, collection: str, shop: str, thumbnails: dict[str, bytes]
) -> None:
    url = forms(thumbnails["26"])[form]
    assert search(service, shop, {"_url": url}, k=1)["answer_distances"] == [0.0]
    body = {
        "records": [
            {"_id": "1", "_url": url, "price": 7},
            {"_id": "2", "_url": url[: len(url) // 2] + "!", "price": 8},
            {"_id": "3", "_base64": base64_of(thumbnails["26"]), "_url": url},
        ],
        "fields_to_return": ["*"],
    }
    answer = service.answer("insert", collection, body)
    kept = [{"_id": "1", "price": 7}, {"_id": "3"}]
    (skipped,) = answer["skipped_records"]
    assert answer["answer_records"] == kept
    assert skipped.pop("_reason")["status"]["code"] == 422
    assert skipped == {"_id": "2", "price": 8}
    assert [service.stored(collection, id_) for id_ in ("1", "3")] == kept
    assert ids(search(service, collection, {"_url": url})) == ["1", "3"]


def test_no_answer_repeats_a_data_url(
    service: Service, shop: str, thumbnails: dict[str, bytes]
) -> None:
    record = {"_url": forms(thumbnails["26"])["base64"], "name": "given"}
    bodies: dict[str, Any] = {
        "visualRankRecords": {"query_record": record, "records": [record]},
        "descriptor": {"records": [record]},
        "rank_images": {"query_record": record, "records": [record]},
        "visual_hash": {"records": [record]},
        "remove_duplicates": {"records": [record]},
        "update": {"records": [{"_id": "no such record"} | record]},
    }
    for method, body in bodies.items():
        asked = body if method == "update" else body | {"fields_to_return": ["*"]}
        prefix = "image_matching" if "_" in method else ""
        response = service.call(method, shop, asked, prefix)
        assert response.status_code == 200, response.text
        assert "data:" not in json.dumps(response.json()), method


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, 410), (410, 410), (401, 403), (403, 403), (429, 503), (503, 503), (500, 504)],
)
def test_an_origin_that_refuses_has_a_code_of_its_own(
    status: int, code: int, service: Service, collection: str, image: str, file_server: FileServer
) -> None:
    url = file_server.refuse(f"/refused/{status}", status, Retry_After="3600")
    records = [{"_id": "bad", "_url": url}, {"_id": "good", "_base64": image}]
    answer = service.answer("insert", collection, {"records": records})
    assert codes(answer) == (211, ["good"], [code])
    for method, prefix in (("visualKNN", ""), ("rank_images", "image_matching")):
        body = {"query_record": {"_url": url}, "records": [{"_base64": image}]}
        response = service.call(method, collection, body, prefix)
        assert response.status_code == 400
        assert response.json()["status"]["code"] == code
        assert response.json()["status"]["place"] == "$.query_record"


def test_a_busy_origin_is_asked_again(
    service: Service, collection: str, thumbnails: dict[str, bytes], file_server: FileServer
) -> None:
    url = file_server.refuse("/busy.jpg", 429, Retry_After="1")
    before = len(file_server.requests)
    with ThreadPoolExecutor(1) as pool:
        body = {"records": [{"_id": "1", "_url": url}]}
        inserting = pool.submit(service.answer, "insert", collection, body)
        wait_until(lambda: file_server.has_served(before + 1), "the host was busy")
        file_server.add("/busy.jpg", thumbnails["2"])
        assert inserting.result()["status"]["code"] == 210


class TestHeaders:
    """`fetch_headers` of a collection: sent to the origins named with them, shown nowhere."""

    def test_only_the_named_origin_gets_them(
        self,
        service: Service,
        thumbnails: dict[str, bytes],
        file_server: FileServer,
        other_origin: FileServer,
    ) -> None:
        headers = {"X-Origin-Key": SECRET, "user-agent": "shop"}
        origin = file_server.url("").upper() + "/"
        made = service.http.post(
            COLLECTIONS, json={"name": "private", "fetch_headers": {origin: headers}}
        )
        assert made.status_code == 201
        collection = made.json()["id"]
        away = other_origin.add("/away.jpg", thumbnails["2"])
        seen, elsewhere = len(file_server.heads), len(other_origin.heads)
        urls = [
            file_server.add("/private.jpg", thumbnails["1"]),
            file_server.redirect("/to-another", away),
            away,
            other_origin.redirect("/back", file_server.add("/home.jpg", thumbnails["3"])),
        ]
        records = [{"_id": str(number), "_url": url} for number, url in enumerate(urls)]
        for record in records:
            service.load(collection, [record])
        search(service, collection, {"_url": urls[0]})
        for head in file_server.heads[seen:]:
            assert (head["x-origin-key"], head["user-agent"]) == (SECRET, "shop")
        assert len(file_server.heads) == seen + 4
        for head in other_origin.heads[elsewhere:]:
            assert "x-origin-key" not in head
            assert head["user-agent"].startswith("lookalike/")
        assert len(other_origin.heads) == elsewhere + 3
        # Another collection's requests to the same origin go without.
        service.load(service.collection(), [{"_id": "1", "_url": urls[0]}])
        assert "x-origin-key" not in file_server.heads[-1]

    def test_they_change_and_are_never_shown(
        self,
        new_server: NewServer,
        connect: Connect,
        thumbnails: dict[str, bytes],
        file_server: FileServer,
    ) -> None:
        server = new_server(LOOKALIKE_FETCH_ALLOW="127.0.0.1")
        server.start()
        service = connect(server.url)
        url = file_server.add("/guarded.jpg", thumbnails["1"])
        shown: list[str] = []
        service.http.event_hooks["response"].append(lambda answer: shown.append(answer.text))
        collection = service.collection(name="private")

        def sent(**settings: Any) -> str | None:
            if settings:
                assert service.change(collection, **settings).status_code == 200
            search(service, collection, {"_url": url})
            return file_server.heads[-1].get("authorization")

        origin = file_server.url("")
        assert sent() is None
        assert sent(fetch_headers={origin: {"Authorization": SECRET}}) == SECRET
        assert sent(name="still private") == SECRET
        server.stop()
        server.start()
        assert sent() == SECRET
        assert sent(fetch_headers={origin: {"Authorization": SECRET + "2"}}) == SECRET + "2"
        wrong = {origin: {"Authorization": SECRET + "\n", "Host": SECRET}}
        assert service.change(collection, fetch_headers=wrong).status_code == 400
        service.view(collection)
        service.http.get(COLLECTIONS)
        service.http.get("/schema/openapi.json")
        private = {"_url": f"http://127.0.0.2/a.jpg?token={SECRET}"}
        for _ in range(3):
            service.call("visualKNN", collection, {"query_record": private})
        assert sent(fetch_headers={}) is None
        exported = server.data.parent / "exported.jsonl"
        lookalike("export", collection, str(exported), "--data", str(server.data))
        assert exported.read_text().startswith('{"format"')
        log = server.stop()
        assert log.count("host=127.0.0.2 addresses=127.0.0.2 reason=private") == 1
        assert SECRET not in "".join([*shown, exported.read_text(), log])

    @pytest.mark.parametrize(
        ("headers", "place"),
        [
            ({"images.test": {}}, "$.fetch_headers"),
            ({"ftp://images.test": {}}, "$.fetch_headers"),
            ({"https://": {}}, "$.fetch_headers"),
            ({"https://images.test/path": {}}, "$.fetch_headers"),
            ({"https://images.test?q": {}}, "$.fetch_headers"),
            ({"https://user:s3cret@images.test": {}}, "$.fetch_headers"),
            ({"https://images.test:x": {}}, "$.fetch_headers"),
            ({"https://a.test": {}, "https://A.test:443": {}}, "$.fetch_headers.https://a.test"),
            ({"Authorization": "s3cret"}, "$.fetch_headers[...]"),
            ({"https://a.test": {"X-Key": 7}}, "$.fetch_headers[...][...]"),
            ([1], "$.fetch_headers"),
            ({f"https://{n}.test": {} for n in range(17)}, "$.fetch_headers"),
            ({"https://a.test": {f"X-{n}": "s3cret" for n in range(17)}}, "https://a.test"),
            ({"https://a.test": {"X-Key": "s3cret" * 3000}}, "$.fetch_headers"),
            ({"https://a.test": {"X Key s3cret": "x"}}, "$.fetch_headers.https://a.test"),
            ({"https://a.test": {"X-Key": "a", "x-key": "b"}}, "https://a.test.x-key"),
            *(
                ({"https://a.test": {name: "s3cret"}}, f"$.fetch_headers.https://a.test.{name}")
                for name in ("Host", "host", "Connection", "Transfer-Encoding", "TE", "Upgrade")
            ),
            *(
                ({"https://a.test": {"X-Key": value}}, "$.fetch_headers.https://a.test.X-Key")
                for value in ("", " s3cret", "s3cret\r\nHost: evil.test", "s3cret\x00", "ž s3cret")
            ),
        ],
        ids=lambda part: str(part)[:50],
    )
    def test_what_may_not_be_sent_is_refused(
        self, headers: Any, place: str, service: Service, collection: str
    ) -> None:
        for answer in (
            service.http.post(COLLECTIONS, json={"name": "x", "fetch_headers": headers}),
            service.change(collection, fetch_headers=headers),
        ):
            assert answer.status_code == 400
            assert answer.json()["place"].endswith(place)
            assert "s3cret" not in answer.text


class TestTimeout:
    """`timeout_s` of a request."""

    def test_a_client_may_wait_less(
        self, service: Service, collection: str, thumbnails: dict[str, bytes], image: str
    ) -> None:
        files = FileServer()
        held = files.hold("/held.jpg", thumbnails["1"])
        record = {"_id": "1", "_url": held.url}
        for method in ("insert", "nearDupsInsert"):
            body = {"records": [record], "timeout_s": 0.4}
            (skipped,) = service.answer(method, collection, body)["skipped_records"]
            assert skipped["_reason"]["status"] == {
                "code": 504,
                "text": "`_url` gave no image within 0.4 s",
            }
        searches = ("visualKNN", "visualTagsKNN", "nearDuplicates", "visualRankRecords")
        for method in (*searches, "rank_images"):
            prefix = "image_matching" if "_" in method else ""
            body = {"query_record": {"_url": held.url}, "records": [], "timeout_s": 0.4}
            status = service.call(method, collection, body, prefix).json()["status"]
            assert (status["code"], "0.4 s" in status["text"]) == (504, True)
        (described,) = service.answer(
            "descriptor", collection, {"records": [record], "timeout_s": 1}
        )["records"]
        assert described["_status"]["text"] == "`_url` gave no image within 1 s"
        held.let_go.set()
        body = {"records": [record], "timeout_s": 20}
        assert codes(service.answer("insert", collection, body)) == (210, ["1"], [])
        files.close()

    @pytest.mark.parametrize("wrong", [0, -1, "5", True, 20.5, 1e300, []], ids=str)
    def test_other_values_are_refused(
        self, wrong: Any, service: Service, collection: str, image: str
    ) -> None:
        record = {"_base64": image}
        body = {"query_record": record, "records": [record], "timeout_s": wrong}
        for method in ("insert", "visualKNN", "descriptor", "visual_hash", "rank_images"):
            prefix = "image_matching" if "_" in method else ""
            response = service.call(method, collection, body, prefix)
            assert response.status_code == 400
            assert response.json()["status"]["place"] == "$.timeout_s"
        assert service.ids(collection) == []
