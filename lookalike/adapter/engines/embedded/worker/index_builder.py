"""The child process of a rebuild: copy a shard that nobody writes, and optimise the copy.

    python -m lookalike.adapter.engines.embedded.worker.index_builder <job in JSON>

Says `ready`, waits for a line, copies, says `copied`, optimises, and ends with 0.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import sys

import msgspec
import qdrant_edge as edge

from lookalike.adapter.engines.embedded.worker.schema import NEVER_KB, Schema, edge_config

PR_SET_PDEATHSIG = 1
GRAPH_KB = 1


class Job(msgspec.Struct, frozen=True):
    """What the child is to do; this is its argument."""

    source: str
    target: str
    collection_schema: Schema
    graph: bool
    threads: int
    niceness: int


def build_index() -> None:
    job = msgspec.json.decode(sys.argv[1], type=Job)
    _die_with_parent()
    os.write(sys.stdout.fileno(), b"ready\n")
    if not sys.stdin.readline():
        return
    # A copy, not hard links: the engine writes into mapped files in place. The log comes along, for
    # without it the operations would be counted from 0 and changes to older points be ignored.
    shutil.copytree(job.source, job.target)
    os.write(sys.stdout.fileno(), b"copied\n")
    os.nice(job.niceness)
    config = edge_config(
        job.collection_schema,
        indexing_threshold_kb=GRAPH_KB if job.graph else NEVER_KB,
        threads=job.threads,
    )
    shard = edge.EdgeShard.load(job.target, config)
    shard.optimize()
    shard.flush()
    shard.close()


def _die_with_parent() -> None:
    """While it optimises, the process cannot notice by itself that its parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # The parent ended before it could be watched.
        build_index()
