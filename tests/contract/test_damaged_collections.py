"""A collection whose files are damaged: named, refused and restored, and the others are served."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from tests.contract.conftest import Connect
from tests.live import live_server, lookalike


def manifest_of(data: Path, collection: str) -> Path:
    [found] = [
        file
        for file in data.glob("collections/*/manifest.json")
        if json.loads(file.read_text())["name"].startswith(f"lookalike-{collection}-")
    ]
    return found


def test_a_lost_manifest(tmp_path: Path, connect: Connect, image: str) -> None:
    data = tmp_path / "data"
    with live_server(data) as server:
        client = connect(server.url)
        shop, photos = client.collection(name="the shop"), client.collection(name="photos")
        for collection in (shop, photos):
            client.load(collection, [{"_id": "1", "_base64": image}])
    manifest = manifest_of(data, shop)
    manifest.unlink()
    (data / "aliases.json").unlink()
    kept = set(manifest.parent.rglob("*"))
    with live_server(data) as server:
        client = connect(server.url)
        query = {"query_record": {"_id": "1"}}
        assert client.answer("visualKNN", photos, query)["answer_count"] == 1
        for headers in ({"collection-id": shop}, {"collection": "the shop"}):
            answer = httpx.post(
                f"{server.url}/similarity/products/v2/visualKNN", json=query, headers=headers
            )
            assert answer.status_code == 500
            assert "manifest.json is missing" in answer.json()["status"]["text"]
            assert "lookalike doctor" in answer.json()["status"]["text"]
        broken = client.http.get("/readyz").json()["engine"]["broken"]
        assert list(broken) == [f"lookalike-{shop}-1"]
        assert kept == set(manifest.parent.rglob("*"))
        told = lookalike("doctor", "--data", str(data))
        assert told.returncode == 1
        assert "'the shop'" in told.stdout
        # While the service runs: what is restored is served at once.
        done = lookalike("doctor", "--data", str(data), "--restore", f"lookalike-{shop}-1")
        assert done.returncode == 0, done.stdout + done.stderr
        assert client.answer("visualKNN", shop, query)["answer_count"] == 1
    told = lookalike("doctor", "--data", str(data))
    assert told.returncode == 0
    assert "none damaged" in told.stdout
    refused = lookalike("doctor", "--data", str(data), "--restore", "nothing")
    assert refused.returncode == 1
    assert lookalike("doctor", "--data", str(tmp_path / "none")).returncode == 2
