"""A service for a benchmark: a process of its own, on loopback, ended with the benchmark."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from lookalike.adapter.engines.embedded.supervisor import running_socket

START_SECONDS = 120.0


class Service:
    """`lookalike serve` on a free port, from `with` to its end."""

    def __init__(self, data: Path, *options: str) -> None:
        self._data = data
        self._options = options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def engine_socket(self) -> Path:
        """Where the engine of this service can be asked directly."""
        path = running_socket(self._data)
        assert path is not None
        return path

    def __enter__(self) -> Self:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LOOKALIKE_")}
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "lookalike", "serve"),
                *("--port", str(self.port), "--data", str(self._data)),
                *self._options,
            ],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError("the service did not start")
            time.sleep(0.05)
        return self

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
