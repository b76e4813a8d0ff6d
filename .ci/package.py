"""Builds what users install, looks into it, installs it into a fresh environment and starts it.

`make package` runs it, with no more than the standard library. It ends with an error at the first
thing that is wrong.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "lookalike"
READY_S = 120.0
STOP_S = 60.0


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel, sdist = build(make_environment(folder / "tools"), folder)
        check_files(wheel, sdist)
        python = make_environment(folder / "fresh")
        run(python, "-m", "pip", "install", "--quiet", str(wheel))
        start(python.with_name(PACKAGE), folder / "data")
    print("wheel and sdist hold the package and nothing else; the service starts and stops")


def make_environment(folder: Path) -> Path:
    """The Python of a new environment."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def run(*command: str | Path) -> None:
    # Nothing of the checkout may stand in for what was forgotten in the wheel.
    subprocess.run(command, check=True, cwd=Path(command[0]).parent, env=environment())


def environment() -> dict[str, str]:
    """That of this process, less what would change what is installed or how it behaves."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("LOOKALIKE_", "PYTHON"))}


def build(python: Path, folder: Path) -> tuple[Path, Path]:
    """A wheel built from the checkout, and one built from the sdist."""
    run(python, "-m", "pip", "install", "--quiet", "build")
    run(python, "-m", "build", "--sdist", "--wheel", "--outdir", folder / "direct", ROOT)
    (archive,) = (folder / "direct").glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    run(python, "-m", "build", "--wheel", "--outdir", folder / "from-sdist", source)
    (direct,), (again,) = ((folder / name).glob("*.whl") for name in ("direct", "from-sdist"))
    return direct, again


def check_files(wheel: Path, from_sdist: Path) -> None:
    """Both wheels hold the same: every file of the package, and nothing else at top level."""
    direct, again = contents(wheel), contents(from_sdist)
    if differing := [
        name for name in direct.keys() | again.keys() if direct.get(name) != again.get(name)
    ]:
        sys.exit(f"the sdist builds another wheel: {sorted(differing)}")
    found = set(direct)
    packages = {name.split("/")[0] for name in found if ".dist-info/" not in name}
    if packages != {PACKAGE}:
        sys.exit(f"the wheel installs {sorted(packages)} at top level, not {PACKAGE} alone")
    here = (path for path in (ROOT / PACKAGE).rglob("*") if path.is_file())
    wanted = {path.relative_to(ROOT).as_posix() for path in here if path.suffix != ".pyc"}
    if missing := wanted - found:
        sys.exit(f"the wheel lacks {sorted(missing)}")


def contents(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as files:
        return {name: files.read(name) for name in files.namelist()}


def start(command: Path, data: Path) -> None:
    """Starts the service on loopback, waits until it is ready, and ends it by its process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = subprocess.Popen(
        [command, "serve", "--port", str(port), "--data", data],
        cwd=command.parent,
        env=environment(),
    )
    try:
        wait_ready(service, f"http://127.0.0.1:{port}/readyz")
    finally:
        service.terminate()
        code = service.wait(STOP_S)
    if code != 0:
        sys.exit(f"the service ended with {code}")


def wait_ready(service: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if service.poll() is not None:
            sys.exit(f"the service ended with {service.returncode} instead of becoming ready")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    sys.exit(f"the service was not ready within {READY_S:g} s")


if __name__ == "__main__":
    main()
