"""Supervisors of a data folder for tests: in this process, and in one that can be killed.

python -m tests.engines.embedded.supervisors <data> <settings>   says `ready`, waits to be killed
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lookalike.adapter.engines.embedded import messages, wire
from lookalike.adapter.engines.embedded.supervisor import Supervisor
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings
from tests.waiting import PATIENCE_SECONDS


class EagerSupervisor(Supervisor):
    """Restarts its worker at once, however often it was killed."""

    max_backoff_seconds = 0.1


class FaultySupervisor(Supervisor):
    """Its worker has the faults that the environment variable FAULT names."""

    worker_module = "tests.engines.embedded.faulty_worker"


def wait_ready(supervisor: Supervisor) -> messages.EngineHealth:
    """Wait until the worker answers; its health."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(OSError, EOFError):
            return _read_health(supervisor.socket_path, left)
        time.sleep(0.05)
    raise AssertionError("the engine did not start in time")


def _read_health(path: Path, timeout_s: float) -> messages.EngineHealth:
    request = messages.GetHealth()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout_s)
        client.connect(str(path))
        client.sendall(wire.frame(0, msgspec.msgpack.encode(request)))
        frames = wire.Frames()
        while data := client.recv(1 << 16):
            for _, body in frames.feed(data):
                answer = messages.decode_answer(type(request), body)
                assert isinstance(answer, messages.Done), "health is always answered"
                return answer.result
    raise EOFError


@contextlib.contextmanager
def running(
    data: Path, settings: WorkerSettings | None = None, kind: type[Supervisor] = Supervisor
) -> Iterator[Supervisor]:
    """An engine on a folder, ready."""
    supervisor = kind(data, settings)
    supervisor.start()
    try:
        wait_ready(supervisor)
        yield supervisor
    finally:
        supervisor.stop()


@contextlib.contextmanager
def killable(data: Path, settings: WorkerSettings) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in a process of its own, ready."""
    supervisor = subprocess.Popen(
        [sys.executable, "-m", __name__, str(data), msgspec.json.encode(settings).decode()],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervisor.stdout is not None
    try:
        assert supervisor.stdout.readline() == "ready\n"
        yield supervisor
    finally:
        supervisor.kill()
        supervisor.wait()
        # Not read to its end: a worker that outlives its supervisor would hold it open.
        supervisor.stdout.close()


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and was not waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    """The processes that the main thread of a process started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill(pid: int | None) -> None:
    assert pid is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    supervisor = Supervisor(
        Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=WorkerSettings)
    )
    supervisor.start()
    wait_ready(supervisor)
    print("ready", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
