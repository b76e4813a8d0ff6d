"""Collections made before the revision of their embedder changed: what works, and the way out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lookalike.adapter.engines.embedded.worker.manifests import (
    MANIFEST,
    read_manifest,
    write_manifest,
)
from lookalike.embedders.colors import Colors
from tests.contract.answers import ids, search
from tests.contract.images import base64_of
from tests.file_server import FileServer
from tests.live import LiveServer, lookalike
from tests.service import Service

from .conftest import Connect, NewServer

ALLOW = {"LOOKALIKE_FETCH_ALLOW": "127.0.0.1"}


def rename_revision(data: Path, revision: str) -> None:
    """As if another version had made the collections. The service must not run."""
    found = 0
    for file in data.rglob(MANIFEST):
        manifest = read_manifest(file)
        encoded = msgspec.json.encode(manifest.metadata).decode()
        renamed = encoded.replace(Colors.revision, revision)
        metadata = msgspec.json.decode(renamed)
        write_manifest(file.parent, msgspec.structs.replace(manifest, metadata=metadata))
        found += renamed != encoded
    assert found


def migrate(server: LiveServer, *arguments: str) -> str:
    done = lookalike("migrate", *arguments, "--data", str(server.data), environment=ALLOW)
    assert done.returncode == 0, done.stderr
    return done.stdout


def old_collection(
    server: LiveServer, connect: Connect, records: list[dict[str, str]], revision: str
) -> tuple[Service, str]:
    server.start()
    client = connect(server.url)
    collection = client.collection(type="colors")
    client.load(collection, records)
    server.stop()
    rename_revision(server.data, revision)
    server.start()
    return client, collection


@pytest.fixture
def photos(file_server: FileServer, thumbnails: dict[str, bytes]) -> list[dict[str, str]]:
    return [
        {"_id": id_, "_url": file_server.add(f"/revision/{id_}.jpg", data)}
        for id_, data in list(thumbnails.items())[:10]
    ]


def test_a_former_revision_goes_on_until_it_is_migrated(
    new_server: NewServer,
    connect: Connect,
    photos: list[dict[str, str]],
    thumbnails: dict[str, bytes],
) -> None:
    former = Colors.former_revisions[0]
    server = new_server(**ALLOW)
    client, collection = old_collection(server, connect, photos, former)
    assert client.view(collection)["revision"] == former
    id_ = photos[3]["_id"]
    query = {"_base64": base64_of(thumbnails[id_])}
    assert ids(search(client, collection, query, k=1)) == [id_]
    client.load(collection, [{"_id": "new", "_base64": query["_base64"]}])
    client.answer("delete", collection, {"records": [{"_id": "new"}]})

    assert f"{former}, pending: {Colors.revision}, comparable" in migrate(server, "status")
    way = f"lookalike migrate up {collection} --embedder colors"
    assert way in migrate(server, "plan", collection)
    assert way in migrate(server, "up", collection), "nothing is embedded again unasked"
    assert client.view(collection)["revision"] == former
    assert "100 % of the nearest ten" in migrate(server, *way.split()[2:])
    assert client.view(collection)["revision"] == Colors.revision
    assert f"{Colors.revision}, pending: none" in migrate(server, "status")
    assert ids(search(client, collection, query, k=1)) == [id_]


def test_another_model_is_refused_and_the_answer_names_the_way_out(
    new_server: NewServer,
    connect: Connect,
    photos: list[dict[str, str]],
    thumbnails: dict[str, bytes],
) -> None:
    server = new_server(**ALLOW)
    client, collection = old_collection(server, connect, photos, "a-model-of-old")
    query = {"_base64": base64_of(thumbnails[photos[3]["_id"]])}
    refused = client.call("visualKNN", collection, {"query_record": query})
    assert refused.status_code == 409
    way = f"lookalike migrate up {collection} --embedder colors"
    assert way in refused.json()["status"]["text"]
    assert "not comparable" in migrate(server, "status")
    by_id = search(client, collection, {"_id": photos[3]["_id"]}, k=1)
    assert by_id["answer_count"] == 1, "what needs no new vector works meanwhile"
    migrate(server, *way.split()[2:])
    assert ids(search(client, collection, query, k=1)) == [photos[3]["_id"]]
