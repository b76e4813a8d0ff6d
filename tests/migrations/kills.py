"""An engine whose process dies at a chosen call, before or after it has been carried out."""

from __future__ import annotations

import random
from typing import Any


class Killed(BaseException):
    """As SIGKILL: no handler of the code under test is meant to see it."""


class DyingEngine:
    def __init__(self, engine: Any, calls: int, chance: random.Random) -> None:
        self._engine = engine
        self._left = calls
        self._chance = chance

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._engine, name)

        async def call(*args: Any, **options: Any) -> Any:
            if self._left < 0:
                raise Killed  # A dead process carries out nothing more, its clean-up neither.
            self._left -= 1
            if self._left < 0 and self._chance.random() < 0.5:
                raise Killed
            result = await method(*args, **options)
            if self._left < 0:
                raise Killed
            return result

        return call
