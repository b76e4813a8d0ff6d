"""Owners of a data folder for tests: in this process, and in one that can be killed.

python -m tests.engines.embedded.owners <data> <settings>     says `ready` and waits to be killed
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings

START_SECONDS = 120.0
"""Generous, as every limit here: a test waits for what is to come, on a machine with other work."""


class EagerSupervisor(Supervisor):
    """Restarts its worker at once, however often it was killed."""

    max_backoff_seconds = 0.1


class FaultySupervisor(Supervisor):
    """Its worker has the faults that the environment variable FAULT names."""

    worker_module = "tests.engines.embedded.faulty_worker"


@contextlib.contextmanager
def running(
    data: Path, settings: WorkerSettings | None = None, kind: type[Supervisor] = Supervisor
) -> Iterator[Supervisor]:
    """An engine on a folder, ready."""
    owner = kind(data, settings)
    owner.start()
    try:
        owner.wait_ready(START_SECONDS)
        yield owner
    finally:
        owner.stop()


@contextlib.contextmanager
def killable(data: Path, settings: WorkerSettings) -> Iterator[subprocess.Popen[str]]:
    """An owner in a process of its own, ready."""
    owner = subprocess.Popen(
        [sys.executable, "-m", __name__, str(data), msgspec.json.encode(settings).decode()],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    try:
        assert owner.stdout.readline() == "ready\n"
        yield owner
    finally:
        owner.kill()
        owner.wait()
        # Not read to its end: a worker that outlives its owner would hold it open.
        owner.stdout.close()


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and was not waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    """The processes that the main thread of a process started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def wait_until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until a condition, called again and again, is true; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        await asyncio.sleep(0.02)


def kill(pid: int | None) -> None:
    assert pid is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    owner = Supervisor(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=WorkerSettings))
    owner.start()
    owner.wait_ready(START_SECONDS)
    print("ready", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
