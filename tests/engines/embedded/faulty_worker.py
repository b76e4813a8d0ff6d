"""The worker, with the faults that the environment variable FAULT names.

unchecked       sparse vectors reach the engine as they are, and make it panic
bug             a count raises KeyError
kill:<moment>   the worker kills itself at this moment of a rebuild, once per data folder
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lookalike.adapter.engines.embedded import messages
from lookalike.adapter.engines.embedded.worker import data_folder, main, validation
from lookalike.adapter.engines.embedded.worker.read_plans import READ_PLANS
from lookalike.adapter.engines.embedded.worker.rebuild import Rebuild
from lookalike.adapter.engines.embedded.worker.shard import Shard, Steps


def kill_once() -> None:
    mark = Path(sys.argv[1]) / "killed"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def killed_after(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        kill_once()
        return result

    return wrapped


def killed_before(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **options: Any) -> Any:
        kill_once()
        return function(*args, **options)

    return wrapped


def killed_after_first_step(
    function: Callable[..., Iterator[None]],
) -> Callable[..., Iterator[None]]:
    def wrapped(*args: Any) -> Iterator[None]:
        for _ in function(*args):
            kill_once()
            yield

    return wrapped


def killed_in_swap(patch: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Let only the manifest that names the new shard be the moment."""
    save = data_folder.CollectionFolder.save

    def wrapped(folder: data_folder.CollectionFolder, **changes: Any) -> None:
        (patch(save) if "shard" in changes else save)(folder, **changes)

    data_folder.CollectionFolder.save = wrapped  # type: ignore[assignment, method-assign]


def unchecked() -> None:
    validation.check_sparse = lambda vector: (vector.indices, vector.values)


def bug() -> None:
    def count(_: Shard, request: messages.CountPoints) -> Steps[int]:
        yield from ()
        raise KeyError(request.collection)

    READ_PLANS[messages.CountPoints] = count


def no_builder() -> None:
    Rebuild.builder_module = "tests.engines.no_such_module"


def patch_rebuild(name: str, patch: Callable[[Any], Any]) -> None:
    setattr(Rebuild, name, patch(getattr(Rebuild, name)))


FAULTS: dict[str, Callable[[], None]] = {
    "unchecked": unchecked,
    "no builder": no_builder,
    "bug": bug,
    "kill:before copying": lambda: patch_rebuild("_begin", killed_after_first_step),
    "kill:loaded": lambda: patch_rebuild("_catch_up", killed_after_first_step),
    "kill:catching up": lambda: patch_rebuild("_catch_up_page", killed_after),
    "kill:before the swap": lambda: patch_rebuild("_swap", killed_before),
    "kill:before the manifest": lambda: killed_in_swap(killed_before),
    "kill:after the manifest": lambda: killed_in_swap(killed_after),
    "kill:after the swap": lambda: patch_rebuild("_swap", killed_after_first_step),
}

if __name__ == "__main__":
    FAULTS[os.environ["FAULT"]]()
    main.run_worker()
