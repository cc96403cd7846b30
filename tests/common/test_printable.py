"""Text that is safe to print: nothing in it can control a terminal or reorder a line."""

from __future__ import annotations

import sys
import unicodedata

from histscan.common.printable import printable

BIDIRECTIONAL_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# Control characters, lone surrogates, line and paragraph separators.
CONTROL_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
BIDIRECTIONAL_MARKS = {"\N{LEFT-TO-RIGHT MARK}", "\N{RIGHT-TO-LEFT MARK}", "\N{ARABIC LETTER MARK}"}


def controls_the_output(char: str) -> bool:
    return (
        unicodedata.bidirectional(char) in BIDIRECTIONAL_CONTROLS
        or unicodedata.category(char) in CONTROL_CATEGORIES
        or char in BIDIRECTIONAL_MARKS
    )


def test_escapes_each_control_character_and_nothing_else() -> None:
    for char in map(chr, range(sys.maxunicode + 1)):
        text = printable(char)
        if controls_the_output(char):
            assert text.encode("ascii").startswith(b"\\")
            assert text.encode("ascii").decode("unicode_escape") == char
        else:
            assert text == char


def test_leaves_readable_text_unchanged() -> None:
    assert printable("épôque 時代 = 5\N{NO-BREAK SPACE}%") == "épôque 時代 = 5\N{NO-BREAK SPACE}%"
