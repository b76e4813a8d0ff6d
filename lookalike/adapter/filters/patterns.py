"""`$regex`, in linear time: MongoDB's options on RE2, and the literals that the engine can look up.

RE2 has no lookaround and no back-references, so no pattern can hang the service
(https://github.com/google/re2/wiki/Syntax). Two things that PCRE, MongoDB's library, does and RE2
does not are made up for here: the option `x`, and `$` before a newline at the end of the text.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final, Literal

import re2

OPTION_LETTERS: Final = frozenset("imsx")
MAX_PATTERN_CHARS: Final = 512
MAX_PATTERN_COST: Final = 1024
"""For all patterns of a filter together; see `cost`."""

# What one pattern may compile to. The limit also bounds the time of compiling: 2 ms at most for a
# repetition such as `\pL{1000}`, where the default of 8 MiB allows 60 ms.
_MAX_PROGRAM_BYTES: Final = 1 << 18

_TOKEN: Final = re.compile(
    r"\\Q.*?(?:\\E|\Z)"  # a quotation
    r"|\\."  # an escape
    r"|\[\^?\]?(?:\[:\^?\w*:\]|\\.|[^\]\\])*+\]"  # a class
    r"|.",
    re.DOTALL,
)
_META: Final = frozenset(".^$*+?()[]{}|\\")
_INLINE_MULTILINE: Final = re.compile(r"\(\?[a-zA-Z]*m")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern and its options, checked: both compile."""

    source: str
    options: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """What every match must contain.

    `kind`: the text `is` one of `texts`, has the one as `prefix`, or has it as `substring`.
    `exact`: the text matches the pattern if and only if that holds.
    """

    kind: Literal["is", "prefix", "substring"]
    texts: tuple[str, ...]
    exact: bool


def cost(source: str) -> int:
    """Characters, with a Unicode class counted as many: each takes up to 0.4 ms to compile."""
    return len(source) + 20 * (source.count("\\p") + source.count("\\P"))


@functools.lru_cache(maxsize=256)
def compiled(pattern: Pattern) -> re2._Regexp:
    """The pattern, ready to `search`. Raises `re2.error` for what RE2 does not take."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_PROGRAM_BYTES
    flags = "".join(flag for flag in "ims" if flag in pattern.options)
    source = _rewritten(pattern)
    return re2.compile(f"(?{flags}){source}" if flags else source, options)


def pattern_matches(pattern: Pattern, text: str) -> bool:
    """Whether the pattern matches somewhere in the text."""
    # Lone surrogates, which JSON can spell and UTF-8 cannot, become question marks.
    clean = text if text.isascii() else text.encode("utf-8", "replace").decode()
    return compiled(pattern).search(clean) is not None


def _tokens(pattern: Pattern) -> list[str]:
    """The pattern's smallest parts. With the option `x`, without white space and comments."""
    extended = "x" in pattern.options
    tokens, in_comment = [], False
    for found in _TOKEN.finditer(pattern.source):
        token = found.group()
        if extended and in_comment:
            # A token may be a whole class, and a comment ends in the middle of it.
            in_comment = "\n" not in token
        elif extended and token == "#":
            in_comment = True
        elif not (extended and token.isspace()):
            tokens.append(token)
    return tokens


def _rewritten(pattern: Pattern) -> str:
    """The pattern for RE2: without what `x` ignores, and with PCRE's `$` where it ends a branch."""
    tokens = _tokens(pattern)
    if "m" in pattern.options or _INLINE_MULTILINE.search(pattern.source):
        return "".join(tokens)
    following = [*tokens[1:], ")"]
    return "".join(
        r"(?:\n?\z)" if token == "$" and after in ("|", ")") else token
        for token, after in zip(tokens, following, strict=False)
    )


def _literal(token: str) -> str | None:
    """The text that a token stands for, if it stands for exactly one."""
    if token.startswith("\\Q"):
        return token[2:].removesuffix("\\E")
    if len(token) == 2 and token[0] == "\\":
        return None if token[1].isalnum() or token[1] == "_" else token[1]
    return token if len(token) == 1 and token not in _META else None


def _branches(tokens: list[str]) -> bool:
    """True if a `|` outside every group makes the text before it optional."""
    depth = 0
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if token == "|" and depth == 0:
            return True
    return False


def anchor(pattern: Pattern) -> Anchor | None:
    """The literal that the engine can look for; None if the pattern begins with none."""
    tokens = _tokens(pattern)
    if "i" in pattern.options or _branches(tokens):
        return None
    one_line = "m" not in pattern.options
    start = bool(tokens) and (tokens[0] == "\\A" or (tokens[0] == "^" and one_line))
    texts: list[str] = []
    rest = tokens[1:] if start else tokens
    while rest and (text := _literal(rest[0])) is not None:
        texts.append(text)
        rest = rest[1:]
    if rest and rest[0] in ("*", "?", "{") and texts:
        texts[-1] = texts[-1][:-1]
        rest = ["?", *rest]  # what follows the literal is no longer all of the pattern
    text = "".join(texts)
    kind: Literal["prefix", "substring"] = "prefix" if start else "substring"
    if not rest or rest == [".", "*"]:
        return Anchor(kind, (text,), exact=True)
    if rest == ["$"] and one_line and start:
        return Anchor("is", (text, text + "\n"), exact=True)
    return Anchor(kind, (text,), exact=False) if text else None
