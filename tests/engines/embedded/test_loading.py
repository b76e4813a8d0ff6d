"""What happens when the files of a collection do not load, and what lies about at a start."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.worker import integrity
from lookalike.adapter.engines.embedded.worker.data_folder import (
    MAKING,
    REMOVED,
    CollectionFolder,
    DataFolder,
)
from lookalike.adapter.engines.embedded.worker.database import ADMINISTRATION, Database
from lookalike.adapter.engines.embedded.worker.loading import (
    MAX_FAILURES,
    PASSING,
    errno_of,
    load_shard,
)
from lookalike.adapter.engines.embedded.worker.read_plans import read
from lookalike.adapter.engines.embedded.worker.validation import Refused
from lookalike.adapter.engines.embedded.worker.write_plans import write
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings


def opened(data: Path) -> Database:
    database = Database(data, WorkerSettings())
    database.load()
    return database


def administer(database: Database, request: messages.WorkerRequest[None]) -> None:
    for _ in ADMINISTRATION[type(request)](database, request):
        pass


def create(database: Database, name: str) -> None:
    dense = {"visual": messages.VectorParams(4, "Cosine")}
    administer(database, messages.CreateCollection(name, dense, [], {}))


def write_all(database: Database, name: str, request: messages.WorkerRequest[None]) -> None:
    for _ in write(database.shard(name), request):
        pass


def upsert(database: Database, name: str, *ids: int) -> None:
    points = [
        messages.NewPoint(i, {"visual": np.array([1, i, 0, 0], "<f4").tobytes()}, {"n": i})
        for i in ids
    ]
    write_all(database, name, messages.UpsertPoints(name, points, insert_only=False))


def stored(database: Database, name: str, *, vectors: bool = False) -> list[messages.FoundPoint]:
    request = messages.ScrollPoints(name, None, 10, None, True, vectors)
    steps = read(database.shard(name), request)
    while True:
        try:
            next(steps)
        except StopIteration as over:
            page: messages.PointPage = over.value
            return page.points


def count(database: Database, name: str) -> int:
    return database.shard(name).points_count


def names(database: Database) -> list[str]:
    return sorted(database.names(messages.GetCollections()))


def collection_folder(data: Path, name: str) -> CollectionFolder:
    [found] = [
        folder
        for folder in DataFolder(data).read_collections()
        if isinstance(folder, CollectionFolder) and folder.manifest.name == name
    ]
    return found


@pytest.fixture
def two(data: Path) -> Path:
    """A folder with two closed collections, `good` and `bad`, of three points each."""
    database = opened(data)
    for name in ("good", "bad"):
        create(database, name)
        administer(database, messages.CreatePayloadIndex(name, "n", "float"))
        upsert(database, name, 1, 2, 3)
    database.close()
    return data


def damage(folder: CollectionFolder) -> None:
    """So that only the engine finds it."""
    integrity.remove_inventory(folder.shard_folder)
    for file in folder.shard_folder.glob("segments/*/segment.json"):
        file.write_text("{")


def test_a_damaged_collection_does_not_keep_the_others_down(two: Path) -> None:
    damage(collection_folder(two, "bad"))
    # Each failure ends the worker, for the engine may have panicked: the next one tries again.
    for failures in range(1, MAX_FAILURES + 2):
        with pytest.raises(Exception, match=r"."):
            opened(two)
        assert collection_folder(two, "bad").read_load_failures() == failures
    database = opened(two)
    assert database.health(messages.GetHealth()).broken == {
        "bad": "the engine cannot load its files"
    }
    assert count(database, "good") == 3
    with pytest.raises(Refused):
        database.shard("bad")
    # Its files are kept for whoever wants to try, until it is deleted.
    assert collection_folder(two, "bad").find_logs_aside() != []
    administer(database, messages.DeleteCollection("bad"))
    assert names(database) == ["good"]
    database.close()


def test_a_process_killed_while_loading_says_nothing_about_the_files(two: Path) -> None:
    bad = collection_folder(two, "bad")
    for _ in range(2 * MAX_FAILURES):
        bad.note_loading(0)  # It was killed here.
        load_shard(bad, faulted=False).close()
    assert bad.read_load_failures() is None
    assert bad.find_logs_aside() == []


def test_a_fault_while_loading_counts(two: Path) -> None:
    """A segmentation fault leaves no chance to count; that the worker died of one tells."""
    bad = collection_folder(two, "bad")
    bad.note_loading(MAX_FAILURES - 1)
    load_shard(bad, faulted=True).close()
    assert len(bad.find_logs_aside()) == 1
    # Loaded without its log, the points were copied to a shard in which they can be changed.
    assert bad.manifest.shard == "shard-2"
    database = opened(two)
    upsert(database, "bad", 3, 4)
    write_all(database, "bad", messages.DeletePoints("bad", [1]))
    found = stored(database, "bad")
    assert [(point.id, point.payload) for point in found] == [(n, {"n": n}) for n in (2, 3, 4)]
    assert set(database.shard("bad").edge_shard.info().payload_schema) == {"n"}
    assert database.health(messages.GetHealth()).logs_aside == {"bad": bad.find_logs_aside()}
    database.close()
    # A fault in another collection says nothing about one that was not being loaded.
    load_shard(collection_folder(two, "good"), faulted=True).close()
    assert collection_folder(two, "good").find_logs_aside() == []


@pytest.mark.parametrize("dropped", [False, True])
def test_a_vector_is_there_or_gone_even_if_the_log_is_lost(
    two: Path, tmp_path: Path, dropped: bool
) -> None:
    database = opened(two)
    other = messages.VectorParams(2, "Dot")
    administer(database, messages.CreateVectorName("bad", "other", other))
    if dropped:
        administer(database, messages.DeleteVectorName("bad", "other"))
    # As a kill leaves it: nothing is flushed at an orderly end.
    killed = tmp_path / "killed"
    shutil.copytree(two, killed)
    database.close()
    bad = collection_folder(killed, "bad")
    bad.note_loading(MAX_FAILURES - 1)
    load_shard(bad, faulted=True).close()
    assert len(bad.find_logs_aside()) == 1
    database = opened(killed)
    state = database.shard("bad").state()
    assert set(state.vectors) == ({"visual"} if dropped else {"visual", "other"})
    found = stored(database, "bad", vectors=True)
    assert [(p.id, set(p.vectors or {})) for p in found] == [(n, {"visual"}) for n in (1, 2, 3)]
    database.close()


@pytest.mark.parametrize(
    ("text", "passing"),
    [
        ("No space left on device (os error 28)", True),
        ("Can't init WAL: Kind(WouldBlock)", True),
        ("Too many open files (os error 24)", True),
        ("No such file or directory (os error 2)", False),
        ("EOF while parsing an object at line 1 column 1", False),
    ],
)
def test_a_full_disk_is_not_a_damaged_file(text: str, passing: bool) -> None:
    assert (errno_of(Exception(text)) in PASSING) is passing


def test_what_no_manifest_names_is_removed_at_the_start(two: Path) -> None:
    good = collection_folder(two, "good")
    unfinished, deleted = good.path.parent / "never-finished", good.path.parent / "deleted"
    abandoned = [good.path / "shard-7", unfinished / "shard-1", deleted / "shard-1"]
    for folder in abandoned:
        folder.mkdir(parents=True)
        (folder / "file").touch()
    (unfinished / MAKING).touch()
    (deleted / REMOVED).touch()
    (good.path / MAKING).touch()
    (good.shard_folder / "temp_segments" / "segment_builder_1").mkdir(parents=True)
    database = opened(two)
    assert not any(folder.exists() for folder in (*abandoned, unfinished, deleted))
    assert not (good.shard_folder / "temp_segments" / "segment_builder_1").exists()
    assert names(database) == ["bad", "good"]
    database.close()


def test_a_manifest_that_cannot_be_written_changes_nothing(
    two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    database = opened(two)
    monkeypatch.setattr("lookalike.adapter.engines.embedded.worker.files.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        administer(database, messages.UpdateCollection("good", {"a": 1}))
    with pytest.raises(OSError, match="No space"):
        create(database, "new")
    monkeypatch.undo()
    assert database.shard("good").folder.manifest.metadata == {}
    assert names(database) == ["bad", "good"]
    database.close()
    database = opened(two)
    assert names(database) == ["bad", "good"]
    database.close()
