"""Files of a shard that were cut, emptied, changed or removed are noticed before a load."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.worker import integrity
from lookalike.adapter.engines.embedded.worker.integrity import (
    checksum,
    find_damage,
    read_inventory,
)
from lookalike.adapter.engines.embedded.worker.validation import Refused
from tests.engines.embedded.test_damaged_folders import (
    copy_files,
    cut,
    flip_each_third,
    health,
)
from tests.engines.embedded.test_loading import (
    administer,
    collection_folder,
    create,
    opened,
    upsert,
)

POINTS = 400


def flip_data(file: Path) -> None:
    """A byte that holds something, where there is one."""
    with file.open("r+b") as opened_file:
        content = opened_file.read(1 << 20)
        place = next((n for n, byte in enumerate(content) if byte), 0)
        opened_file.seek(place)
        opened_file.write(bytes([content[place] ^ 0x10]))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2),
    "emptied": lambda file: os.truncate(file, 0),
    "flipped": flip_data,
    "removed": Path.unlink,
}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("closed") / "data"
    database = opened(data)
    for name in ("good", "bad"):
        create(database, name)
        administer(database, messages.CreatePayloadIndex(name, "n", "float"))
        upsert(database, name, *range(1, POINTS + 1))
    database.close()
    return data


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_file_of_a_closed_shard(closed: Path, damage: str) -> None:
    shard = collection_folder(closed, "bad").shard_folder
    inventory = read_inventory(shard)
    assert inventory is not None
    assert (inventory.state, inventory.points) == ("closed", POINTS)
    assert set(inventory.files) == {
        str(f.relative_to(shard)) for f in shard.rglob("*") if f.is_file()
    }
    assert find_damage(shard, inventory) is None
    for path in inventory.files:
        file = shard / path
        whole = file.with_name("whole")
        file.rename(whole)
        copy_files(whole, file)
        DAMAGES[damage](file)
        found = find_damage(shard, inventory)
        assert found is not None, path
        assert path in found
        whole.replace(file)
    assert find_damage(shard, inventory) is None


@pytest.mark.parametrize("damage", ["cut", "emptied", "removed", "flipped"])
@pytest.mark.parametrize("kind", ["mutable_id_tracker.mappings", "page_0.dat", "segment.json"])
def test_a_damaged_shard_is_named_and_the_others_are_served(
    closed: Path, tmp_path: Path, kind: str, damage: str
) -> None:
    data = tmp_path / "data"
    copy_files(closed, data)
    shard = collection_folder(data, "bad").shard_folder
    [file, *_] = sorted(shard.rglob(kind))
    DAMAGES[damage](file)
    for _ in range(2):  # At the next start too.
        database = opened(data)
        reason = health(database).broken["bad"]
        assert kind in reason
        assert "400 records" in reason
        with pytest.raises(Refused):
            database.shard("bad")
        assert database.shard("good").points_count == POINTS
        database.close()


def test_what_can_be_read_is_served_when_asked_for(closed: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    copy_files(closed, data)
    shard = collection_folder(data, "bad").shard_folder
    [file] = shard.rglob("mutable_id_tracker.versions")
    flip_each_third(file)
    database = opened(data)
    assert list(health(database).broken) == ["bad"]
    administer(database, messages.RestoreCollection("bad"))
    assert health(database).broken == {}
    assert database.shard("bad").points_count == POINTS
    database.close()


def test_ids_lost_after_a_kill_are_noticed(closed: Path, tmp_path: Path) -> None:
    """What only a flush changes is as at the last one, also where the end was no orderly one."""
    data = tmp_path / "data"
    copy_files(closed, data)
    database = opened(data)
    upsert(database, "bad", *range(500, 520))
    database.shard("bad").flush()
    upsert(database, "bad", *range(600, 620))
    killed = tmp_path / "killed"
    copy_files(data, killed)
    database.close()
    again = opened(killed)
    assert health(again).broken == {}
    assert again.shard("bad").points_count == POINTS + 40
    again.close()


def test_a_note_is_gone_before_anything_changes(closed: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    copy_files(closed, data)
    shard = collection_folder(data, "bad").shard_folder
    database = opened(data)
    assert read_inventory(shard) is None
    database.shard("bad").flush()
    inventory = read_inventory(shard)
    assert inventory is not None
    assert inventory.state == "flushed"
    assert all("id_tracker" in path for path in inventory.files)
    database.close()
    inventory = read_inventory(shard)
    assert inventory is not None
    assert inventory.state == "closed"


def test_a_note_that_cannot_be_read_says_nothing(closed: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    copy_files(closed, data)
    shard = collection_folder(data, "bad").shard_folder
    cut(shard.with_name(f"integrity-{shard.name}.json"))
    database = opened(data)
    assert health(database).broken == {}
    database.close()


def test_checksums_do_not_depend_on_holes(tmp_path: Path) -> None:
    sparse, dense = tmp_path / "sparse", tmp_path / "dense"
    size = 5 * integrity.BLOCK_BYTES + 17
    with sparse.open("wb") as file:
        file.truncate(size)
        for place in (9, 8192, 3 * integrity.BLOCK_BYTES - 2):
            file.seek(place)
            file.write(b"data")
    dense.write_bytes(sparse.read_bytes())
    assert sparse.stat().st_blocks < dense.stat().st_blocks
    assert checksum(sparse) == checksum(dense) != 0
    moved = bytearray(dense.read_bytes())
    moved[9:13], moved[20:24] = b"\0\0\0\0", b"data"
    dense.write_bytes(moved)
    assert checksum(sparse) != checksum(dense)
    (tmp_path / "empty").touch()
    assert checksum(tmp_path / "empty") == 0


def test_beyond_the_bound_only_sizes_are_compared(
    closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "CHECKED_BYTES", 200_000)
    data = tmp_path / "data"
    copy_files(closed, data)
    shard = collection_folder(data, "bad").shard_folder
    integrity.take_inventory(shard, "closed", POINTS)
    inventory = read_inventory(shard)
    assert inventory is not None
    checked = {path for path, was in inventory.files.items() if was.checksum is not None}
    assert any("id_tracker" in path for path in checked)
    assert checked < set(inventory.files)
