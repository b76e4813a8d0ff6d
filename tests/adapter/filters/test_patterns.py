"""Patterns: which literal the engine may look for, and that RE2 agrees with it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.adapter.filters.patterns import Anchor, Pattern, anchor, pattern_matches

ANCHORS = {
    "": Anchor("substring", ("",), exact=True),
    "abc": Anchor("substring", ("abc",), exact=True),
    "^abc": Anchor("prefix", ("abc",), exact=True),
    r"\Aabc": Anchor("prefix", ("abc",), exact=True),
    "^": Anchor("prefix", ("",), exact=True),
    "^abc.*": Anchor("prefix", ("abc",), exact=True),
    "abc.*": Anchor("substring", ("abc",), exact=True),
    "^abc$": Anchor("is", ("abc", "abc\n"), exact=True),
    "^$": Anchor("is", ("", "\n"), exact=True),
    "abc$": Anchor("substring", ("abc",), exact=False),
    "^abc.*$": Anchor("prefix", ("abc",), exact=False),
    "^abc.": Anchor("prefix", ("abc",), exact=False),
    "^abc*": Anchor("prefix", ("ab",), exact=False),
    "^abc?": Anchor("prefix", ("ab",), exact=False),
    "^abc{0}": Anchor("prefix", ("ab",), exact=False),
    "^abc+": Anchor("prefix", ("abc",), exact=False),
    "^a(b|c)": Anchor("prefix", ("a",), exact=False),
    r"^a\.b": Anchor("prefix", ("a.b",), exact=True),
    r"\Qa.b\E": Anchor("substring", ("a.b",), exact=True),
    r"^a\d": Anchor("prefix", ("a",), exact=False),
    "^a|b": None,
    "a|b": None,
    "a*": None,
    "^a?": None,
    "(abc)": None,
    "(?i)abc": None,
    "[a]bc": None,
    ".abc": None,
    r"\babc": None,
}


@pytest.mark.parametrize("source", ANCHORS)
def test_the_literal_of_a_pattern(source: str) -> None:
    assert anchor(Pattern(source, "")) == ANCHORS[source]


def test_options_that_change_the_literal() -> None:
    assert anchor(Pattern("abc", "i")) is None
    assert anchor(Pattern("^abc", "m")) is None
    assert anchor(Pattern("abc", "m")) == Anchor("substring", ("abc",), exact=True)
    assert anchor(Pattern("^ a b # c", "x")) == Anchor("prefix", ("ab",), exact=True)
    assert anchor(Pattern("^a.*", "s")) == Anchor("prefix", ("a",), exact=True)


_atoms = ["a", "b", "ab", "^", "$", ".", ".*", "a*", "b?", "a+", "a{2}", "|", "(a|b)", "(a$)"]
_atoms += [
    "[ab]",
    "[^a]",
    r"\.",
    r"\n",
    r"\A",
    r"\Qa.\E",
    "(?i)",
    "(?m)",
    "(?s)",
    " ",
    "#",
    "\n",
    r"\ ",
]
_patterns = st.builds(
    lambda atoms, options: Pattern("".join(atoms), "".join(sorted(options))),
    st.lists(st.sampled_from(_atoms), max_size=6),
    st.sets(st.sampled_from("imsx")),
)


def _anchored(found: Anchor, text: str) -> bool:
    if found.kind == "is":
        return text in found.texts
    if found.kind == "prefix":
        return text.startswith(found.texts[0])
    return found.texts[0] in text


@settings(max_examples=800, deadline=None)
@given(_patterns, st.lists(st.text("abAB.\n #", max_size=5), min_size=1, max_size=10))
def test_every_match_has_the_literal_and_an_exact_one_decides(
    pattern: Pattern, texts: list[str]
) -> None:
    found = anchor(pattern)
    if found is None:
        return
    for text in texts:
        try:
            matches = pattern_matches(pattern, text)
        except Exception:  # malformed: `parse` refuses it
            return
        assert not matches or _anchored(found, text)
        if found.exact:
            assert matches is _anchored(found, text)


def test_no_pattern_hangs() -> None:
    assert not pattern_matches(Pattern("(a*)*$b", ""), "a" * 50_000)
    assert not pattern_matches(Pattern("(x+x+)+y", ""), "x" * 50_000)
