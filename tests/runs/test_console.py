"""Console output becomes the lines that wandb's own terminal shows."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb.sdk.lib.redirect import TerminalEmulator

from histscan.runs.console import ConsoleLine, TerminalScreen, terminal_lines

# From the first time on that the cursor moves up, lines above can be written to; here from the start.
MOVE_UP = "\x1b[A"

pieces = st.lists(
    st.one_of(
        st.text("ab \té世", min_size=1, max_size=6),
        st.sampled_from(["\n", "\r", "\b", "\r\n", "\x1b[31m", "\x1b[0m", "\x1b]0;title\x07"]),
        st.sampled_from(
            ["\x1b[K", "\x1b[0K", "\x1b[1K", "\x1b[2K", "\x1b[A", "\x1b[2A", "\x1b[C", "\x1b[3C", "\x1b[2D"]
        ),
        st.just("\x1b[J"),
    ),
    max_size=25,
)


def lines_of(written: list[str]) -> list[str]:
    return [line.text for line in terminal_lines(ConsoleLine(text, "stdout", None) for text in written)]


def without_end(lines: list[str]) -> list[str]:
    """Lines without the empty ones behind the last that has text."""
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


@given(pieces)
def test_lines_are_those_of_wandbs_terminal(written: list[str]) -> None:
    terminal = TerminalEmulator()
    for text in written:
        terminal.write(text)
    expected = ["".join(cells).rstrip(" ") for cells in terminal.display()]
    assert without_end(lines_of([MOVE_UP, *written])) == without_end(expected)


@given(pieces, st.lists(st.integers(0, 60), max_size=8))
def test_it_does_not_matter_where_output_is_cut(written: list[str], cuts: list[int]) -> None:
    text = "".join(written)
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    parts = [text[start:end] for start, end in pairwise(places)]
    assert lines_of(parts) == lines_of([text])


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=10), max_size=20))
def test_plain_lines_stay_as_they_are(lines: list[str]) -> None:
    assert lines_of([f"{line}\n" for line in lines]) == [line.rstrip(" ") for line in lines]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_control_characters_are_left(text: str) -> None:
    for line in lines_of([text, "\n"]):
        assert not any((character < " " and character != "\t") or "\x7f" <= character <= "\x9f" for character in line)


@pytest.mark.parametrize(
    "sequence", ["\x1b[9999999999999A", "\x1b[999999C", "\x1b[4096C\x1b[4096C\x1b[4096C", "\x1b[B" * 50]
)
def test_a_cursor_that_is_sent_far_away_costs_no_memory(sequence: str) -> None:
    screen = TerminalScreen("stdout")
    for _ in range(100):
        assert screen.write(sequence, None) == []
    (line,) = [*screen.write("x\n", None), *screen.finish()]
    assert line.text.strip() == "x"
    assert len(line.text) <= 4_100


def test_lines_that_scroll_away_are_final() -> None:
    screen = TerminalScreen("stdout")
    screen.write(MOVE_UP, None)
    final = [line.text for number in range(1_000) for line in screen.write(f"{number}\n", None)]
    assert final == [str(number) for number in range(len(final))]
    assert 900 < len(final) < 1_000
    assert [line.text for line in screen.finish()] == [str(number) for number in range(len(final), 1_000)]
