"""Numbers as the engines hold them, and what a comparison in an engine says of the number sent.

An engine keeps payloads as JSON text and reads it with a fast parser: about one double of 16 or 17
significant digits in ten comes back one unit in the last place off. It compares numbers as doubles,
so that integers beyond 2**53 are rounded. Two kinds of numbers are read and compared exactly:
whole ones up to `EXACT_WHOLE`, and fractions of up to 15 digits from `EXACT_FRACTION` on.

So the engine is given, in place of each other number, one that lies strictly between the same two
exact numbers, with room for what the parser does to it. It compares with every exact number as the
number that was sent does:

    sent 0.1 + 0.2 = 0.30000000000000004    given 0.3000000000000005    the engine: > 0.3, < 0.31

A comparison with an exact number is therefore the engine's to decide. With another number it is
widened (`enclosing`), and decided on the record, which is kept as it was sent.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Final

from lookalike.adapter.filters.json_values import INT64_MAX

EXACT_WHOLE: Final = 9 * 10**15
"""Somewhat below 2**53, so that no larger number is rounded to one that counts as exact."""

WHOLE_DIGITS: Final = 10**15
"""From here on a double has 16 digits before the point, too many for the parser."""

EXACT_FRACTION: Final = 1e-6
"""Below it the parser divides by powers of ten that are no doubles, and errs by more."""

EXACT_POWER: Final = 1e22
"""The greatest power of ten that is a double."""

SPREAD: Final = 2e-14
"""Of a number: twice the distance of two neighbours of 15 digits, which is 1e-14 at the most."""

SMALLEST_SPREAD: Final = 1e-300


def is_exact(number: int | float) -> bool:
    """Whether the engines compare everything that is stored with this number exactly."""
    if number == 0:
        return True
    if isinstance(number, int) or number.is_integer():
        return abs(number) <= EXACT_WHOLE
    return abs(number) >= EXACT_FRACTION and _is_short(number)


def enclosing(number: int | float) -> tuple[float, float]:
    """Two doubles with everything between them that stands for the number in an engine."""
    middle = as_double(number)
    spread = max(abs(middle) * SPREAD, SMALLEST_SPREAD)
    most = sys.float_info.max
    return max(middle - spread, -most), min(middle + spread, most)


def as_double(number: int | float) -> float:
    """The nearest double; the greatest there is for an integer beyond all doubles."""
    try:
        return float(number)
    except OverflowError:
        return math.copysign(sys.float_info.max, number)


def engine_value(value: Any) -> Any:
    """A JSON value for an engine: its numbers are replaced where an engine would err."""
    if isinstance(value, float):
        return _engine_double(value)
    if isinstance(value, int):  # booleans too, which stay what they are
        return value if abs(value) <= INT64_MAX else _engine_double(as_double(value))
    if isinstance(value, dict):
        return {key: engine_value(item) for key, item in value.items()}
    return [engine_value(item) for item in value] if isinstance(value, list) else value


def may_be_misread(value: Any) -> bool:
    """Whether an engine may have given back another number than it was sent, inside this value.

    For records of before the time when their text was kept.
    """
    if isinstance(value, float):
        safe = value == 0 or EXACT_FRACTION <= abs(value) <= EXACT_POWER
        return not (safe and _is_short(value))
    if isinstance(value, dict):
        return any(map(may_be_misread, value.values()))
    return isinstance(value, list) and any(map(may_be_misread, value))


def _engine_double(number: float) -> float | int:
    if number.is_integer() and abs(number) >= WHOLE_DIGITS:
        # Integers of 64 bits are kept as they are. What is larger is far from all exact numbers.
        return int(number) if abs(number) <= INT64_MAX else number
    if _is_short(number):
        return number
    if abs(number) >= WHOLE_DIGITS:
        return math.trunc(number) + math.copysign(0.5, number)
    # Its first 15 digits, and a 5 behind them.
    mantissa, exponent = f"{number:.16e}".split("e")
    return float(f"{mantissa[:-2]}5e{exponent}")


def _is_short(number: float) -> bool:
    return float(f"{number:.15g}") == number
