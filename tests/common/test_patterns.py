"""Patterns find what `re` finds, and stop."""

from __future__ import annotations

import re
import threading

import pytest

from histscan.common.patterns import PatternError, SearchTime, TimedPattern

# Python's `re` takes years for either; `regex` knows the first kind, and must stop at the second.
EASY, HARD = "^(a+)+$", "^(a|aa)+$"
TEXTS = ["", "loss", "val/loss", "LOSS", "a\nb", "straße", "x" * 50]


@pytest.mark.parametrize(
    "pattern", ["loss", "^loss$", "^val/.*", "(?i)loss", r"\d", "s{2}", "a.b", "(?s)a.b", "(?=v)va(?!x)", r"(.)\1", ""]
)
@pytest.mark.parametrize("ignore_case", [False, True])
def test_patterns_match_as_those_of_re(pattern: str, ignore_case: bool) -> None:
    timed, oracle = TimedPattern(pattern, ignore_case=ignore_case), re.compile(pattern, re.I if ignore_case else 0)
    for text in TEXTS:
        assert timed.search(text) is (oracle.search(text) is not None)
        assert timed.fullmatch(text) is (oracle.fullmatch(text) is not None)


def test_the_time_is_for_all_searches_together() -> None:
    pattern = TimedPattern(HARD, time=SearchTime(0.05))
    assert pattern.search("aaaa")
    for _ in range(3):
        with pytest.raises(PatternError, match=r"longer than 0\.05 s"):
            pattern.search("a" * 60 + "!")
    with pytest.raises(PatternError, match="longer than"):
        pattern.search("aaaa")


def test_nested_repeats() -> None:
    assert not TimedPattern(EASY).search("a" * 60 + "!")


def test_a_search_does_not_stop_other_threads() -> None:
    pattern = TimedPattern(HARD)
    done = threading.Event()
    counted = 0

    def search() -> None:
        with pytest.raises(PatternError):
            pattern.search("a" * 60 + "!")
        done.set()

    threading.Thread(target=search).start()
    # Each wait releases the GIL: if the search kept it, this thread would count a few times at most.
    while not done.wait(0.001):
        counted += 1
    assert counted > 10


@pytest.mark.parametrize(
    "text", ["(", "[", "*", "(" * 400 + ")" * 400, "a{99999}", "((a{50}){50}){50}", "a" * 1001, 3, None]
)
def test_invalid_patterns(text: object) -> None:
    with pytest.raises(PatternError):
        TimedPattern(text)
