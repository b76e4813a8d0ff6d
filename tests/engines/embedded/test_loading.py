"""What happens when the files of a collection do not load, and what lies about at a start."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lookalike.adapter.engines.embedded.worker.data_folder import Catalog, Home
from lookalike.adapter.engines.embedded.worker.database import ADMINISTRATION, Engine
from lookalike.adapter.engines.embedded.worker.loading import MAX_FAILURES, PASSING, load_shard
from lookalike.adapter.engines.embedded.worker.validation import Refused
from lookalike.adapter.engines.embedded.worker.write_plans import write
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings

DENSE = {"vectors": {"visual": {"size": 4, "distance": "Cosine"}}}


def engine_on(data: Path) -> Engine:
    engine = Engine(data, WorkerSettings())
    engine.load(faulted=False)
    return engine


def administer(engine: Engine, method: str, name: str, args: dict[str, Any] | None = None) -> None:
    for _ in ADMINISTRATION[method](engine, name, args or {}):
        pass


def upsert(engine: Engine, name: str, *ids: int) -> None:
    points = [{"id": i, "vector": {"visual": [1.0, i, 0, 0]}, "payload": {"n": i}} for i in ids]
    for _ in write(engine.collection(name), "upsert", {"points": points}):
        pass


def home(data: Path, name: str) -> Home:
    [found] = [home for home in Catalog(data).homes() if home.manifest.name == name]
    return found


@pytest.fixture
def two(data: Path) -> Path:
    """A folder with two closed collections, `good` and `bad`, of three points each."""
    engine = engine_on(data)
    for name in ("good", "bad"):
        administer(engine, "create_collection", name, DENSE)
        administer(engine, "create_payload_index", name, {"field": "n", "field_schema": "integer"})
        upsert(engine, name, 1, 2, 3)
    engine.close()
    return data


def damage(home: Home) -> None:
    for file in home.shard.glob("segments/*/segment.json"):
        file.write_text("{")


def test_a_damaged_collection_does_not_keep_the_others_down(two: Path) -> None:
    damage(home(two, "bad"))
    # Each failure ends the worker, for the engine may have panicked: the next one tries again.
    for failures in range(1, MAX_FAILURES + 2):
        with pytest.raises(Exception, match=r"."):
            engine_on(two)
        assert home(two, "bad").load_failures() == failures
    engine = engine_on(two)
    assert engine.health()["broken"] == ["bad"]
    assert engine.collection("good").count({}) == 3
    with pytest.raises(Refused):
        engine.collection("bad")
    # Its files are kept for whoever wants to try, until it is deleted.
    assert home(two, "bad").logs_aside() != []
    administer(engine, "delete_collection", "bad")
    assert engine.get_collections() == ["good"]
    engine.close()


def test_a_process_killed_while_loading_says_nothing_about_the_files(two: Path) -> None:
    bad = home(two, "bad")
    for _ in range(2 * MAX_FAILURES):
        bad.note_loading(0)  # It was killed here.
        load_shard(bad, faulted=False).close()
    assert bad.load_failures() is None
    assert bad.logs_aside() == []


def test_a_fault_while_loading_counts(two: Path) -> None:
    """A segmentation fault leaves no chance to count; that the worker died of one tells."""
    bad = home(two, "bad")
    bad.note_loading(MAX_FAILURES - 1)
    load_shard(bad, faulted=True).close()
    assert len(bad.logs_aside()) == 1
    # Loaded without its log, the points were copied to a shard in which they can be changed.
    assert bad.manifest.shard == "shard-2"
    engine = engine_on(two)
    collection = engine.collection("bad")
    upsert(engine, "bad", 3, 4)
    for _ in write(collection, "delete", {"points": [1]}):
        pass
    rows, _after = collection.scroll({})
    assert [(row[0], row[1]) for row in rows] == [(n, {"n": n}) for n in (2, 3, 4)]
    assert set(collection.shard.info().payload_schema) == {"n"}
    assert engine.health()["logs_aside"] == {"bad": bad.logs_aside()}
    engine.close()
    # A fault in another collection says nothing about one that was not being loaded.
    load_shard(home(two, "good"), faulted=True).close()
    assert home(two, "good").logs_aside() == []


@pytest.mark.parametrize("method", ["create_vector_name", "delete_vector_name"])
def test_a_vector_is_there_or_gone_even_if_the_log_is_lost(
    two: Path, tmp_path: Path, method: str
) -> None:
    engine = engine_on(two)
    other = {"vector": "other", "params": {"size": 2, "distance": "Dot"}}
    administer(engine, "create_vector_name", "bad", other)
    if method == "delete_vector_name":
        administer(engine, method, "bad", other)
    # As a kill leaves it: nothing is flushed at an orderly end.
    killed = tmp_path / "killed"
    shutil.copytree(two, killed)
    engine.close()
    bad = home(killed, "bad")
    bad.note_loading(MAX_FAILURES - 1)
    load_shard(bad, faulted=True).close()
    assert len(bad.logs_aside()) == 1
    engine = engine_on(killed)
    collection = engine.collection("bad")
    expected = {"visual", "other"} if method == "create_vector_name" else {"visual"}
    assert set(collection.get_collection({})["vectors"]) == expected
    rows, _after = collection.scroll({"with_vector": True})
    assert [(row[0], set(row[2])) for row in rows] == [(n, {"visual"}) for n in (1, 2, 3)]
    engine.close()


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
    assert bool(PASSING.search(text)) is passing


def test_what_no_manifest_names_is_removed_at_the_start(two: Path) -> None:
    good = home(two, "good")
    abandoned = [good.folder / "shard-7", good.folder.parent / "never-finished" / "shard-1"]
    for folder in abandoned:
        folder.mkdir(parents=True)
        (folder / "file").touch()
    (good.shard / "temp_segments" / "segment_builder_1").mkdir(parents=True)
    engine = engine_on(two)
    assert not any(folder.exists() for folder in abandoned)
    assert not (good.shard / "temp_segments" / "segment_builder_1").exists()
    assert sorted(engine.get_collections()) == ["bad", "good"]
    engine.close()


def test_a_manifest_that_cannot_be_written_changes_nothing(
    two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    engine = engine_on(two)
    monkeypatch.setattr("lookalike.adapter.engines.embedded.worker.data_folder.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        administer(engine, "update_collection", "good", {"metadata": {"a": 1}})
    with pytest.raises(OSError, match="No space"):
        administer(engine, "create_collection", "new", DENSE)
    monkeypatch.undo()
    assert engine.collection("good").home.manifest.metadata == {}
    assert sorted(engine.get_collections()) == ["bad", "good"]
    engine.close()
    engine = engine_on(two)
    assert sorted(engine.get_collections()) == ["bad", "good"]
    engine.close()
