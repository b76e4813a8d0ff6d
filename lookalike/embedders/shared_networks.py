"""Several embedders of one process build on the same network: it is loaded, and kept, once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from threading import Lock
from typing import TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


def shared(load: Callable[[Path], T]) -> Callable[[Path], T]:
    """`load`, which answers what it has loaded from that folder as long as anybody uses it.

    What it loads must have no state: it is called from the threads of several embedders.
    """
    in_use: WeakValueDictionary[Path, T] = WeakValueDictionary()
    lock = Lock()

    @wraps(load)
    def load_or_share(cache_folder: Path) -> T:
        with lock:
            known = in_use.get(cache_folder)
            if known is None:
                known = in_use[cache_folder] = load(cache_folder)
            return known

    return load_or_share
