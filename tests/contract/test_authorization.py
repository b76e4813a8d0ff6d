"""Who may call: the calls that ask, tokens, and what each of them allows."""

from __future__ import annotations

import itertools
from pathlib import Path

import httpx
import pytest

from tests.contract.conftest import (
    ADMIN_TOKEN,
    FILE_TOKEN,
    PREFIXES,
    READ_TOKEN,
    WRITE_TOKEN,
    Bound,
    Connect,
)
from tests.live import LiveServer, lookalike
from tests.service import Service

AUTHORIZE = {"service": "photo-search", "call_type": "authenticate"}


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


@pytest.mark.parametrize(
    ("authorization", "detail"),
    [
        (None, "Authentication credentials were not provided."),
        ("", "Invalid token header."),
        ("Token", "Invalid token header."),
        (ADMIN_TOKEN, "Invalid token header."),
        ("Token a b", "Invalid token header."),
        (f"Basic {ADMIN_TOKEN}", "Invalid token header."),
        ("Token wrong", "Invalid token."),
        (f"Token {ADMIN_TOKEN}x", "Invalid token."),
        (f"Token {ADMIN_TOKEN}:read", "Invalid token."),
        ("JWT " + "x" * 80, "Invalid token."),
    ],
)
def test_no_or_wrong_token(
    authorization: str | None, detail: str, admin: Service, guarded: LiveServer
) -> None:
    collection = admin.collection()
    headers = {} if authorization is None else {"Authorization": authorization}
    with httpx.Client(base_url=guarded.url, headers=headers) as http:
        calls = [
            http.post("/similarity/photos/v2/visualKNN", headers={"collection-id": collection}),
            http.post("/similarity/photos/v2/ping"),
            http.post("/authorization/v2/authorize"),
            http.get("/account/v2/user/"),
            http.get("/similarity/v2/collection/"),
            http.post("/similarity/v2/collection/", content=b"{"),
        ]
    for answer in calls:
        assert answer.status_code == 401
        assert answer.json()["detail"] == detail
        assert answer.headers["www-authenticate"] == "Token"
        assert ADMIN_TOKEN not in answer.text


def test_a_token_without_the_right(
    connect: Connect, admin: Service, guarded: LiveServer, image: str
) -> None:
    collection = admin.collection()
    record = {"_id": "1", "_base64": image}
    reader, writer = connect(guarded.url, READ_TOKEN), connect(guarded.url, WRITE_TOKEN)
    bodies: list[tuple[str, object]] = [
        ("insert", {"records": [record]}),
        ("update", {"records": [record]}),
        ("delete", {"records": [record]}),
        ("deleteByFilter", {"filter": {"a": 1}}),
    ]
    for method, body in bodies:
        answer = reader.call(method, collection, body)
        assert answer.status_code == 403
        assert answer.json()["status"]["code"] == 403
        assert answer.json()["detail"] == "You do not have permission to perform this action."
        assert writer.call(method, collection, body).status_code == 200
    for client in (reader, writer):
        answer = client.http.post("/similarity/v2/collection/", json={"name": "x"})
        assert answer.status_code == 403
        assert client.http.delete(f"/similarity/v2/collection/{collection}").status_code == 403
        assert client.answer("allRecords", collection)["answer_records"] == []
    assert admin.answer("ping", collection)["statistics"]["total_records"] == 0


def test_tokens_in_the_settings_and_in_a_file(admin: Service, image: str) -> None:
    collection = admin.collection()
    record = {"_id": "1", "_base64": image}
    rights: dict[str, set[str]] = {
        FILE_TOKEN: {"read", "write"},
        WRITE_TOKEN: {"read", "write"},
        READ_TOKEN: {"read"},
        ADMIN_TOKEN: {"read", "write", "admin"},
    }
    for token, allowed in rights.items():
        headers = {"Authorization": f"Token {token}", "collection-id": collection}
        with httpx.Client(base_url=admin.url, headers=headers) as http:
            codes = {
                "read": http.post("/similarity/photos/v2/allIDs").status_code,
                "write": http.post(
                    "/similarity/photos/v2/insert", json={"records": [record]}
                ).status_code,
                "admin": http.patch(f"/similarity/v2/collection/{collection}", json={}).status_code,
            }
        assert codes == {right: 200 if right in allowed else 403 for right in codes}
        assert http.headers["Authorization"].endswith(token)


def test_health_needs_no_token(admin: Service) -> None:
    with httpx.Client(base_url=admin.url) as http:
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").status_code == 200


def test_a_token_bound_to_a_collection(
    connect: Connect, admin: Service, bound: Bound, image: str
) -> None:
    other = admin.collection(name="another")
    body = {"records": [{"_id": "1", "_base64": image}]}
    writer, reader = (connect(admin.url, token) for token in (bound.writer, bound.reader))
    assert writer.answer("insert", bound.collection, body)["status"]["code"] == 210
    for client, methods in ((writer, ("insert", "allRecords")), (reader, ("allRecords",))):
        assert client.answer("allRecords", bound.collection)["answer_count"] == 1
        # What it may not use does not exist for it.
        named = (other, "another", "no such collection")
        for collection, method in itertools.product(named, methods):
            headers = {"collection": collection}
            answer = client.http.post(f"/similarity/photos/v2/{method}", json=body, headers=headers)
            assert answer.status_code == 404
            assert answer.json()["detail"] == "Collection not found."
        page = client.http.get("/similarity/v2/collection/").json()
        assert [view["id"] for view in page["results"]] == [bound.collection]
        assert client.http.get(f"/similarity/v2/collection/{other}").status_code == 404
    assert reader.call("insert", bound.collection, body).status_code == 403
    assert admin.answer("allRecords", bound.collection)["answer_count"] == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_without_tokens_only_loopback(host: str, tmp_path: Path) -> None:
    refused = lookalike("serve", "--host", host, "--data", str(tmp_path / "data"))
    assert refused.returncode == 2
    assert "LOOKALIKE_TOKENS" in refused.stderr
    assert not (tmp_path / "data").exists()
