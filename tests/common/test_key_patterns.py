"""Choosing keys by name, glob and regular expression."""

from __future__ import annotations

import re
from typing import Any

import pytest

from histscan.common.key_patterns import KeyChoice, is_pattern
from histscan.common.near_keys import describe_missing

KEYS = ["_step", "loss", "val/loss", "interval/loss", "val/acc", "a[0]", "gradient.norm"]


@pytest.mark.parametrize(
    ("items", "chosen"),
    [
        (["val/*"], ["val/loss", "val/acc"]),
        (["no*"], []),
        (["*loss"], ["loss", "val/loss", "interval/loss"]),
        (["val/*", "loss", "*"], ["val/loss", "val/acc", "loss", "_step", "interval/loss", "a[0]", "gradient.norm"]),
        (["a[0]"], ["a[0]"]),
        (["missing"], ["missing"]),
        ([re.compile("val")], ["val/loss", "interval/loss", "val/acc"]),
        ([re.compile("^val")], ["val/loss", "val/acc"]),
    ],
)
def test_chosen_keys(items: list[Any], chosen: list[str]) -> None:
    choice = KeyChoice.of(items)
    assert choice is not None
    assert choice.select(KEYS) == chosen


@pytest.mark.parametrize(
    ("items", "missing"),
    [
        (["loss", "val/*", "a[0]", "gradient.norm", re.compile("acc")], []),
        (["gradient"], []),
        (["grad", "gradient.", "los"], ["grad", "gradient.", "los"]),
        (["a[1]", "loss", "x*"], ["a[1]", "x*"]),
        ([], []),
    ],
)
def test_items_that_choose_no_known_key(items: list[Any], missing: list[Any]) -> None:
    choice = KeyChoice.of(items)
    assert choice is not None
    assert choice.missing(KEYS) == missing
    assert choice.missing(iter(KEYS), knows_parents=False) == [
        item for item in items if item in missing or item == "gradient"
    ]


def test_patterns() -> None:
    assert [is_pattern(text) for text in ("a*", "a?", "[ab]", "a.b", "")] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("los", "did you mean loss"),
        ("gradient", "did you mean gradient.norm?"),
        ("train/acc", "did you mean val/acc"),
        ("zzz", "the keys are _step, loss, "),
    ],
)
def test_missing_keys(key: str, words: str) -> None:
    assert words in describe_missing(key, KEYS)
    assert describe_missing("a\x1b", ["a\x1b[2J"]).count("\x1b") == 0
