"""Room on the disk, on a file system that can be filled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.adapter.engines.embedded.disk_space import BALLAST, DiskSpace, NoRoom
from tests.small_disk import SmallDisk, small_disk

MB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path) as made:
        yield made


def test_the_ballast_is_of_real_blocks(disk: SmallDisk) -> None:
    space = DiskSpace(disk.path, 64 * MB)
    before = disk.free_bytes
    assert not space.full
    assert before - disk.free_bytes >= 16 * MB


def test_what_a_request_takes_counts_before_it_is_written(disk: SmallDisk) -> None:
    space = DiskSpace(disk.path, 64 * MB)
    space.check_adding(MB)
    disk.fill(leave_bytes=70 * MB)
    space.check_adding(MB)
    with pytest.raises(NoRoom):
        space.check_adding(3 * MB)
    assert not space.full, "a smaller one fits"
    disk.fill(leave_bytes=60 * MB)
    assert space.full
    space.check_writing()


def test_the_ballast_goes_in_pieces_and_comes_back_first(disk: SmallDisk) -> None:
    space = DiskSpace(disk.path, 64 * MB)
    assert not space.full
    disk.fill()
    assert space.full
    assert not space.exhausted, "a piece of the ballast makes room for deletes"
    for _ in range(6):
        disk.fill()
        assert not space.exhausted
    assert (disk.path / BALLAST).stat().st_size <= 2 * MB
    disk.fill()
    space.make_room()
    disk.fill()
    assert space.exhausted
    with pytest.raises(NoRoom):
        space.check_writing()
    disk.clear()
    disk.fill(leave_bytes=70 * MB)
    assert space.full, "there is room for the reserve, and not for the ballast yet"
    disk.clear()
    assert not space.full
    assert (disk.path / BALLAST).stat().st_blocks * 512 >= 16 * MB


def test_the_next_process_knows_of_the_ballast(disk: SmallDisk) -> None:
    assert not DiskSpace(disk.path, 64 * MB).full
    disk.fill()
    DiskSpace(disk.path, 64 * MB).make_room()
    assert disk.free_bytes >= 2 * MB


def test_no_reserve(tmp_path: Path) -> None:
    space = DiskSpace(tmp_path, 0)
    assert not space.full
    assert not space.exhausted
    space.check_adding(MB)
    assert not (tmp_path / BALLAST).exists()


def test_a_reserve_that_no_disk_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also where no file system can be mounted."""
    space = DiskSpace(tmp_path, 1 << 60)
    assert space.full
    assert "the disk is full" in caplog.text
    with pytest.raises(NoRoom):
        space.check_adding(1)
    space.check_writing()
    assert space.steady, "there is room for deletes and flushes"
    assert not (tmp_path / BALLAST).exists()
