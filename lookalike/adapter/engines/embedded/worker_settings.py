"""What can be set of the embedded engine's worker."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one data folder, handed to its worker; the defaults suit two cores and up.

    The service reads those that are not `INTERNAL` from variables with the encoded names.
    """

    INTERNAL: ClassVar = (
        *("flush_seconds", "vacuum_fraction", "vacuum_min_points"),
        *("build_threads", "build_niceness"),
    )

    flush_seconds: float = 5.0
    """Written points reach the segment files at the latest after this time (a lost machine, not a
    lost process, loses what was not flushed)."""

    disk_reserve_mb: Annotated[int, Meta(ge=0)] = 256
    """Megabytes that inserts leave free on the disk of the embedded engine; 0: none are left."""

    hnsw_threshold_elements: Annotated[int, Meta(ge=0)] = 30_000_000
    """Vectors x dimensions beyond which the embedded engine builds an HNSW index; 0: never."""

    vacuum_fraction: float = 0.3
    """Deleted points are removed from the files when they are more than this part of all points."""

    vacuum_min_points: int = 1000
    """... and at least this many."""

    build_threads: int = 0
    """Threads of the process that builds an index aside; 0 is one less than the machine has."""

    build_niceness: int = 19
    """0 to 19: how readily that process gives way to searches; 0 not at all."""
