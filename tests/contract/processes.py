"""Processes of a service, as the operating system tells them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

from tests.live import LiveServer


def descendants(pid: int) -> list[int]:
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True)
    rows = [tuple(map(int, line.split())) for line in table.stdout.splitlines()]
    found, parents = [], {pid}
    while parents:
        parents = {child for child, parent in rows if parent in parents}
        found += sorted(parents)
    return found


def kill_all(server: LiveServer) -> None:
    """All processes of the service at once, as a power cut does."""
    assert server.process is not None
    everyone = [server.process.pid, *descendants(server.process.pid)]
    for pid in everyone:
        os.kill(pid, signal.SIGKILL)
    server.process.communicate()
    server.process = None


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
