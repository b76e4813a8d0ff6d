"""Files of a data folder that are lost, cut or changed: a fault of one collection stays there."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.worker.aliases import repair_aliases
from lookalike.adapter.engines.embedded.worker.data_folder import CollectionFolder, DataFolder
from lookalike.adapter.engines.embedded.worker.database import Database
from lookalike.adapter.engines.embedded.worker.validation import Refused
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings
from tests.engines.embedded.test_loading import administer, create, opened, upsert

IDS = {"shop-1": "id-of-shop", "photos-1": "id-of-photos"}


def copy_files(source: Path, target: Path) -> None:
    """With the holes of the engine's large files, which hold little."""
    subprocess.run(["cp", "-a", "--sparse=always", source, target], check=True)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_each_third(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0x04
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": cut,
    "emptied": lambda file: file.write_bytes(b""),
    "flipped": flip_each_third,
    "removed": Path.unlink,
    "nonsense": lambda file: file.write_bytes(b"\xff\x00 no JSON"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two closed collections with their ids and aliases, and one that is none of ours."""
    data = tmp_path_factory.mktemp("original") / "data"
    database = opened(data)
    for name, id_ in IDS.items():
        create(database, name)
        own = {"lookalike": {"id": id_, "name": f"the {name}"}}
        administer(database, messages.UpdateCollection(name, own))
        upsert(database, name, 1, 2, 3)
        administer(database, messages.PointAliases({id_: name}))
    create(database, "ledger")
    database.close()
    return data


@pytest.fixture
def copied(original: Path, tmp_path: Path) -> Path:
    copy_files(original, tmp_path / "data")
    return tmp_path / "data"


def folder_of(data: Path, name: str) -> Path:
    [found] = [f for f in DataFolder(data).read_collections() if name_of(f) == name]
    return found.path


def name_of(found: Any) -> str:
    name: str = found.manifest.name if isinstance(found, CollectionFolder) else found.name
    return name


def files_in(data: Path) -> set[str]:
    return {str(f.relative_to(data)) for f in data.rglob("*") if f.is_file() and f.stat().st_size}


def health(database: Database) -> messages.EngineHealth:
    return database.health(messages.GetHealth())


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("with_copy", [True, False])
def test_a_manifest(copied: Path, damage: str, with_copy: bool) -> None:
    """Nothing is deleted, the others are served, the damaged one is named and refuses."""
    shop = folder_of(copied, "shop-1")
    DAMAGES[damage](shop / "manifest.json")
    if not with_copy:
        (shop / "manifest.copy.json").unlink()
    before = files_in(shop)
    for _ in range(2):  # At the next start too.
        database = opened(copied)
        name = "shop-1" if with_copy else shop.name
        assert list(health(database).broken) == [name]
        assert "manifest.json" in health(database).broken[name]
        with pytest.raises(Refused) as refusal:
            database.shard(name)
        assert name in str(refusal.value)
        assert "lookalike doctor" in str(refusal.value)
        assert database.shard("photos-1").points_count == 3
        assert database.resolve("id-of-photos") == "photos-1"
        if with_copy:  # Whoever asks by its id is told, and not that there is none.
            assert database.resolve("id-of-shop") == "shop-1"
            assert database.aliased(messages.GetAliased())["id-of-shop"][0] == "shop-1"
        database.close()
        assert before <= files_in(shop)


@pytest.mark.parametrize("damage", DAMAGES)
def test_aliases(copied: Path, damage: str) -> None:
    """They are made again of what each collection knows."""
    DAMAGES[damage](copied / "aliases.json")
    for _ in range(2):
        database = opened(copied)
        assert health(database).broken == {}
        assert database.aliases(messages.GetAliases()) == {id_: n for n, id_ in IDS.items()}
        database.close()


def test_every_byte_of_the_aliases(copied: Path) -> None:
    whole = (copied / "aliases.json").read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x01
        (copied / "aliases.json").write_bytes(changed)
        folder = DataFolder(copied)
        folder.read_aliases({**IDS, "ledger": None})
        assert folder.aliases == {id_: name for name, id_ in IDS.items()}, changed


def test_every_byte_of_a_manifest(copied: Path) -> None:
    """Whatever it means: it is as it was, or the damage is noticed."""
    shop = folder_of(copied, "shop-1")
    file = shop / "manifest.json"
    whole = file.read_bytes()
    [expected] = [f for f in DataFolder(copied).read_collections() if f.path == shop]
    assert isinstance(expected, CollectionFolder)
    noticed = 0
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x01
        file.write_bytes(changed)
        [found] = [f for f in DataFolder(copied).read_collections() if f.path == shop]
        if isinstance(found, CollectionFolder):
            assert found.manifest == expected.manifest
        else:
            noticed += 1
    assert noticed > 0.9 * len(whole)


def test_a_manifest_without_a_checksum_is_read(copied: Path) -> None:
    """As an older version has written it."""
    file = folder_of(copied, "shop-1") / "manifest.json"
    (file.parent / "manifest.copy.json").unlink()
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], *lines[2:]]))
    database = opened(copied)
    assert health(database).broken == {}
    assert database.shard("shop-1").points_count == 3
    database.close()
    # From now on it has both.
    assert "checksum" in file.read_text()
    assert (file.parent / "manifest.copy.json").read_text() == file.read_text()


def test_a_damaged_collection_can_be_deleted(copied: Path) -> None:
    shop = folder_of(copied, "shop-1")
    (shop / "manifest.json").unlink()
    database = opened(copied)
    administer(database, messages.DeleteCollection("id-of-shop"))
    assert not shop.exists()
    assert health(database).broken == {}
    assert database.aliases(messages.GetAliases()) == {"id-of-photos": "photos-1"}
    database.close()


def test_a_manifest_is_restored_from_its_copy(copied: Path) -> None:
    (folder_of(copied, "shop-1") / "manifest.json").unlink()
    database = opened(copied)
    administer(database, messages.RestoreCollection("id-of-shop"))
    assert health(database).broken == {}
    assert database.shard("shop-1").points_count == 3
    upsert(database, "shop-1", 4)
    for name in ("shop-1", "photos-1", "nobody"):  # Nothing is wrong with these.
        with pytest.raises(Refused):
            administer(database, messages.RestoreCollection(name))
    database.close()
    database = opened(copied)
    assert database.shard("shop-1").points_count == 4
    database.close()


def test_without_a_copy_nothing_is_restored(copied: Path) -> None:
    shop = folder_of(copied, "shop-1")
    cut(shop / "manifest.json")
    cut(shop / "manifest.copy.json")
    before = files_in(shop)
    database = opened(copied)
    with pytest.raises(Refused):
        administer(database, messages.RestoreCollection(shop.name))
    assert list(health(database).broken) == [shop.name]
    database.close()
    assert files_in(shop) == before


def test_what_was_never_finished_goes_at_the_start(copied: Path) -> None:
    """Nobody can be importing then: a collection without an alias was not made to the end."""
    database = opened(copied)
    for name in ("new-1", "shop-2"):
        create(database, name)
        own = {"lookalike": {"id": "id-of-shop" if name == "shop-2" else "id-of-new"}}
        administer(database, messages.UpdateCollection(name, own))
    upsert(database, "shop-2", 1)
    database.close()
    expected = {"shop-1", "photos-1", "ledger", "shop-2"}
    again = Database(copied, WorkerSettings())
    again.load("again")
    # A worker that follows another: the collection may be being imported.
    assert set(again.names(messages.GetCollections())) == {*expected, "new-1"}
    again.close()
    first = opened(copied)
    assert set(first.names(messages.GetCollections())) == expected
    first.close()
    assert not [f for f in DataFolder(copied).read_collections() if name_of(f) == "new-1"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"a": "a-1", "b": "b-1"}, {"a": "a-1", "b": "b-1"}),
        # The second one of an id is the present one, if the aliases say so.
        ({"a": "a-2", "b": "b-1"}, {"a": "a-2", "b": "b-1"}),
        # Without the aliases it may not be complete.
        (None, {"a": "a-1", "b": "b-1"}),
        # A collection without an alias is being imported, or its making was cut off.
        ({"a": "a-1"}, {"a": "a-1"}),
        # One that was being deleted, and whose alias was not yet.
        ({"a": "a-1", "c": "c-1"}, {"a": "a-1"}),
        # Damaged on either side.
        ({"a": "a-7", "b": "b-1"}, {"a": "a-1", "b": "b-1"}),
        ({"x": "a-1", "b": "b-1"}, {"a": "a-1", "b": "b-1"}),
        ({"a": "b-1", "b": "b-1"}, {"a": "a-1", "b": "b-1"}),
        # Of collections that know no id an alias is believed.
        ({"other": "foreign"}, {"other": "foreign"}),
        ({}, {}),
    ],
)
def test_repaired_aliases(found: dict[str, str] | None, expected: dict[str, str]) -> None:
    ids = {"a-2": "a", "a-1": "a", "b-1": "b", "foreign": None, "ledger": None}
    assert repair_aliases(found, ids) == expected


class Killed(BaseException):
    """Stands for the end of the process, at one of its calls to the system."""


calls_left: int | None = None


def end_process(event: str, _: object) -> None:
    global calls_left
    if calls_left is None or event not in ("os.remove", "os.rmdir", "os.rename"):
        return
    calls_left -= 1
    if calls_left < 0:
        calls_left = None
        raise Killed


@pytest.mark.parametrize("unfinished", [False, True])
def test_a_deletion_may_be_cut_off_at_any_call(
    original: Path, tmp_path: Path, unfinished: bool
) -> None:
    """Before its first call the collection is whole; after it, it is gone, and nothing is broken.
    The same of what was never finished."""
    global calls_left
    sys.addaudithook(end_process)
    for number in itertools.count():
        data = tmp_path / str(number)
        copy_files(original, data)
        shop = folder_of(data, "shop-1")
        if unfinished:
            (shop / "making").touch()
            (shop / "manifest.json").unlink()
        calls_left = number
        try:
            if unfinished:
                DataFolder(data).remove_leftovers()
            else:
                DataFolder(data).remove(shop)
        except Killed:
            pass
        else:
            break
        finally:
            calls_left = None
        found = list(DataFolder(data).read_collections())
        assert all(isinstance(each, CollectionFolder) for each in found), number
        whole = number == 0 and not unfinished
        assert [name_of(each) for each in found].count("shop-1") == whole
        if not whole:
            DataFolder(data).remove_leftovers()
            assert not shop.exists()
        shutil.rmtree(data)
    assert number > 30
    assert not shop.exists()
