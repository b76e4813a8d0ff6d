"""Runs the embedded engine: locks the data folder, starts the worker, keeps it running.

The supervisor creates the listening socket and passes it to each worker in turn, so a client can
connect at any moment while the service lives: its request waits in the socket until a worker has
loaded. Needs no event loop; a thread watches the worker.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from lookalike.adapter.engines.embedded.disk_space import DiskSpace
from lookalike.adapter.engines.embedded.worker_settings import WorkerSettings

log = logging.getLogger("lookalike.engine")

LOCK_WAIT_SECONDS = 10.0
"""A worker whose supervisor was killed writes its last points to disk before it frees the lock."""
STOP_SECONDS = 30.0
LOCK = "lock"
TEMPORARY = "lookalike-"
BACKLOG = 1024
FIRST_BACKOFF_SECONDS = 0.1
STEADY_SECONDS = 60.0
"""A worker that lived this long crashed for a reason of its own: the back-off starts anew."""
FAULTS = {-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE}


class DataFolderLocked(RuntimeError):
    """Another process has locked the data folder; `pid` is its id, or None when it left none.

    A service that was killed leaves its worker, which holds the lock until it has closed.
    """

    def __init__(self, data: Path, pids: Sequence[int]) -> None:
        alive = [pid for pid in pids if _is_alive(pid)]
        self.pid = alive[0] if alive else None
        what = "stop that process, or choose another folder"
        if alive and alive[0] != pids[0]:
            what = (
                f"it is the engine of process {pids[0]}, which is gone, and ends when it has "
                "written everything: start again in a moment; if it stays, end it"
            )
        super().__init__(
            f"the data folder {data} is in use by process {self.pid or 'unknown'}: {what}"
        )


class Supervisor:
    """Locks a data folder and runs its worker from `start` to `stop`."""

    worker_module = "lookalike.adapter.engines.embedded.worker.main"
    max_backoff_seconds = 10.0
    """The longest wait before a worker that keeps crashing is started again."""

    def __init__(self, data: Path, settings: WorkerSettings | None = None) -> None:
        self.data = data
        self.settings = settings or WorkerSettings()
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        """Held while a worker is started, and while it is decided that none will be any more."""
        self._worker: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._watch: threading.Thread | None = None

    @property
    def socket_path(self) -> Path:
        """Where clients connect, from `start` to `stop`."""
        return self._socket_folder / "engine.sock"

    @property
    def worker_pid(self) -> int | None:
        """The process id of the present worker, which may just have ended."""
        return None if self._worker is None else self._worker.pid

    def start(self) -> None:
        """Lock the folder and start the worker, without waiting until it has loaded.

        Raises DataFolderLocked when another process holds the lock for LOCK_WAIT_SECONDS, and
        OSError where the folder cannot be made or written to.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        # One of an older version may be open to others. A file system without rights has none.
        with contextlib.suppress(PermissionError):
            self.data.chmod(0o700)
        self._lock = _lock_folder(self.data)
        # What follows writes, and so does loading.
        DiskSpace(self.data, self.settings.disk_reserve_mb << 20).make_room()
        stale, _ = _read_engine_file(self.data)
        if stale is not None and stale.parent.name.startswith(TEMPORARY):
            shutil.rmtree(stale.parent, ignore_errors=True)
        # The path of a Unix socket has at most 107 bytes, so it cannot lie in any data folder.
        self._socket_folder = Path(tempfile.mkdtemp(prefix=TEMPORARY))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket_path))
        self._listener.listen(BACKLOG)
        engine_json = {"socket": str(self.socket_path), "pid": os.getpid()}
        (self.data / "engine.json").write_bytes(msgspec.json.encode(engine_json))
        self._spawn("first")
        self._watch = threading.Thread(target=self._keep_running, name="engine", daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """End the worker in order: it flushes and closes. Safe to call twice."""
        if self._watch is None:
            return
        with self._changing:
            self._stopping.set()
            self._release_lifeline()
        if self._worker is not None:
            try:
                self._worker.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait()
        self._watch.join()
        self._watch = None
        (self.data / "engine.json").unlink(missing_ok=True)
        self._listener.close()
        shutil.rmtree(self._socket_folder, ignore_errors=True)
        os.close(self._lock)

    def _spawn(self, start: str) -> None:
        reading, self._lifeline = os.pipe()
        listener = self._listener.fileno()
        arguments = [str(self.data), str(listener), str(reading), start]
        self._worker = subprocess.Popen(
            [
                *(sys.executable, "-m", self.worker_module),
                *arguments,
                msgspec.json.encode(self.settings).decode(),
            ],
            # The worker inherits the lock, which keeps a second supervisor out until it has closed.
            pass_fds=[listener, reading, self._lock],
            stdin=subprocess.DEVNULL,
            env=without_settings(os.environ),
        )
        os.close(reading)
        _name_holders(self._lock, os.getpid(), self._worker.pid)

    def _keep_running(self) -> None:
        backoff, started = FIRST_BACKOFF_SECONDS, time.monotonic()
        while self._worker is not None:
            code = self._worker.wait()
            if time.monotonic() - started > STEADY_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS
            if not self._stopping.is_set():
                log.error("the engine's worker ended with %s; next in %.1f s", code, backoff)
            self._stopping.wait(backoff)
            backoff, started = min(2 * backoff, self.max_backoff_seconds), time.monotonic()
            with self._changing:
                if self._stopping.is_set():
                    return
                self._release_lifeline()
                try:
                    self._spawn("faulted" if code in FAULTS else "again")
                except OSError as error:  # The old worker has ended still: wait, and try again.
                    log.error("the engine's worker cannot be started: %s", error)

    def _release_lifeline(self) -> None:
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is not None:
            os.close(lifeline)


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """For processes that are told all they need to know: settings hold tokens and keys."""
    return {name: text for name, text in environment.items() if not name.startswith("LOOKALIKE_")}


def is_data_folder(data: Path) -> bool:
    """Whether an engine ever ran on it."""
    return (data / LOCK).exists() or (data / "collections").exists()


def running_socket(data: Path) -> Path | None:
    """The socket of the engine that runs on a data folder, or None when none does."""
    path, pid = _read_engine_file(data)
    return path if path and pid and _is_alive(pid) and _is_listening(path) else None


def _read_engine_file(data: Path) -> tuple[Path | None, int | None]:
    """The socket and the process id of the last supervisor, which may be gone."""
    try:
        content = msgspec.json.decode((data / "engine.json").read_bytes(), type=dict[str, object])
    except (OSError, msgspec.DecodeError):
        return None, None
    pid = content.get("pid")
    return Path(str(content.get("socket"))), pid if isinstance(pid, int) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_listening(path: Path) -> bool:
    """Not implied by the file, nor by the process id: a killed supervisor leaves both behind."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def _lock_folder(data: Path) -> int:
    """Lock the lock file; its descriptor. Raises DataFolderLocked."""
    descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
        if time.monotonic() > deadline:
            pids = [int(word) for word in os.read(descriptor, 64).split() if word.isdigit()]
            os.close(descriptor)
            raise DataFolderLocked(data, pids)
        time.sleep(0.05)
    _name_holders(descriptor, os.getpid())
    return descriptor


def _name_holders(descriptor: int, *pids: int) -> None:
    with contextlib.suppress(OSError):  # For people; a full disk is no reason to stay down.
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, " ".join(map(str, pids)).encode(), 0)
