"""`python -m benchmarks [NAME …]`: runs the named benchmarks, or lists all of them."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks


def names() -> list[str]:
    modules = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return [
        name
        for name in modules
        if not name.startswith("_")
        and hasattr(importlib.import_module(f"benchmarks.{name}"), "main")
    ]


def main(wanted: list[str]) -> int:
    known = names()
    if not wanted or set(wanted) - set(known):
        for name in known:
            summary = (importlib.import_module(f"benchmarks.{name}").__doc__ or "").splitlines()[0]
            print(f"{name:10} {summary}")
        return 0 if not wanted else 2
    for name in wanted:
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


sys.exit(main(sys.argv[1:]))
