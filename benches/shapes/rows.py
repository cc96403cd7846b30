"""The shapes of rows that people log."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from benches.data import Row, plain_rows, shuffled
from benches.large_log import EXAMPLE
from benches.logs import RecordedLog, read_by_wandb

__all__ = ["SHAPES", "Shape"]

_PAGES = 4
_SEED = 11


@dataclass(frozen=True)
class Shape:
    """Rows of one kind.

    Attributes:
        name: The name on the command line and in the table.
        subject: What the rows hold, in a few words.
        rows: Yields rows without end; they have a ``_step``.
        page_rows: Rows of a page, so that a page has some hundred kilobytes.
        is_numeric: True if the values are numbers, for which the minimum ratios are higher.
        is_ascii: True if letters beyond ASCII are escaped by their numbers.
    """

    name: str
    subject: str
    rows: Callable[[random.Random], Iterator[Row]] = field(repr=False)
    page_rows: int
    is_numeric: bool = False
    is_ascii: bool = False

    def pages(self) -> list[list[Row]]:
        """Makes the rows of four pages, the same on each call."""
        endless = self.rows(random.Random(_SEED))
        return [list(islice(endless, self.page_rows)) for _ in range(_PAGES)]


def _steps() -> Iterator[int]:
    step = 0
    while True:
        yield step
        step += 1


def _rows_of(values: Callable[[random.Random, int], Row]) -> Callable[[random.Random], Iterator[Row]]:
    """Makes endless rows of a function that makes the values of a step."""

    def rows(draw: random.Random) -> Iterator[Row]:
        for step in _steps():
            yield {"_step": step, **values(draw, step)}

    return rows


def _floats(names: list[str]) -> Callable[[random.Random, int], Row]:
    return lambda draw, _: {name: draw.gauss(1.0, 0.1) for name in names}


def _of_2000_keys(draw: random.Random, _: int) -> Row:
    return {f"sensor/{number:04}": draw.random() for number in sorted(draw.sample(range(2_000), 10))}


def _histogram(draw: random.Random, _: int) -> Row:
    values = [draw.randrange(1_000) for _ in range(64)]
    return {"gradients": {"_type": "histogram", "values": values, "bins": [draw.gauss(0.0, 1.0) for _ in range(65)]}}


_SENTENCE = "validation sample {:06}, class {}"
_ESCAPED = 'größer "als" zuvor:\n\t{:06} → 数据 {}\\'


def _texts(form: str) -> Callable[[random.Random, int], Row]:
    return lambda draw, _: {
        f"text/{number}": form.format(draw.randrange(10**6), draw.randrange(1_000)) for number in range(8)
    }


def _nested(draw: random.Random, step: int) -> Row:
    return {
        "loss": draw.random(),
        "validation": {"accuracy": draw.random(), "loss": {"mean": draw.random(), "std": draw.random()}},
        "optimizer": {"name": "adamw", "groups": [1, 2, draw.randrange(9)], "is_warm": step < 100},
    }


def _media(draw: random.Random, step: int) -> Row:
    digest = f"{draw.getrandbits(160):040x}"
    return {
        "loss": draw.random(),
        "samples": {
            "_type": "images/separated",
            "count": 2,
            "format": "png",
            "width": 512,
            "height": 512,
            "filenames": [f"media/images/samples_{step}_{number}_{digest}.png" for number in range(2)],
            "captions": ["a cat", "a dog on a beach"],
        },
        "audio": {"_type": "audio-file", "path": f"media/audio/{step}_{digest}.wav", "size": draw.randrange(10**7)},
    }


def _table_reference(draw: random.Random, step: int) -> Row:
    digest = f"{draw.getrandbits(160):040x}"
    return {
        "loss": draw.random(),
        "predictions": {
            "_type": "table-file",
            "ncols": 5,
            "nrows": draw.randrange(1, 1_000),
            "path": f"media/table/predictions_{step}_{digest}.table.json",
            "sha256": f"{draw.getrandbits(256):064x}",
            "size": draw.randrange(10**7),
            "artifact_path": f"wandb-client-artifact://{digest}/predictions.table.json",
            "_latest_artifact_path": f"wandb-client-artifact://{digest}:latest/predictions.table.json",
        },
    }


def _deep(draw: random.Random, _: int) -> Row:
    value: Any = draw.random()
    for depth in range(50):
        value = {f"level_{depth}": value}
    return {"tree": value}


def _long_text(draw: random.Random, _: int) -> Row:
    words = ("loss", "the", "model", "answers", "a", "question", "about", "gradients", "in", "layer")
    return {"answer": " ".join(draw.choices(words, k=400)), "loss": draw.random()}


def _prose(draw: random.Random, _: int) -> Row:
    """A text with quotes and line breaks at places that differ from row to row, as language models answer."""
    words = draw.choices(("the", "model", "answers", "a", "question", "about", "gradients", "in", "layer"), k=120)
    forms = draw.choices(("{}", '"{}"', "{}\n", "{}\n\n- "), weights=(90, 5, 4, 1), k=120)
    return {"answer": " ".join(form.format(word) for form, word in zip(forms, words, strict=True))}


def _beyond_ascii(draw: random.Random, _: int) -> Row:
    words = ("模型", "训练损失", "下降了", "größer", "als", "zuvor", "точность", "модели", "学習率", "précédente")
    return {"answer": " ".join(draw.choices(words, k=40))}


def _present_at_random(draw: random.Random) -> Iterator[Row]:
    for row in plain_rows(_steps()):
        yield {key: value for key, value in row.items() if key == "_step" or draw.random() < 0.7}


def _with_nan(draw: random.Random) -> Iterator[Row]:
    for row in plain_rows(_steps()):
        yield {
            key: math.nan if key.startswith("train/") and draw.random() < 0.1 else value for key, value in row.items()
        }


def _recorded(_: random.Random) -> Iterator[Row]:
    return read_by_wandb(RecordedLog(EXAMPLE, 0))


_NORM_KEYS = [f"layer_{number:03}/norm" for number in range(500)]
_LAYER_KEYS = [
    f"model.layers.{layer}.{part}.weight/{figure}"
    for layer in range(32)
    for part in (
        *(f"self_attn.{projection}_proj" for projection in "qkvo"),
        *(f"mlp.{projection}_proj" for projection in ("gate", "up", "down")),
        *(f"{norm}_layernorm" for norm in ("input", "post_attention")),
    )
    for figure in ("grad_norm", "weight_norm", "update_ratio", "grad_max")
][:1_000]

_ALL = (
    Shape("floats", "23 numbers, most of them floats", lambda _: plain_rows(_steps()), 1_000, True),
    Shape("floats-500", "500 floats", _rows_of(_floats(_NORM_KEYS)), 50, True),
    Shape("long-keys", "1,000 floats with long names", _rows_of(_floats(_LAYER_KEYS)), 25, True),
    Shape(
        "ints",
        "20 ints",
        _rows_of(lambda draw, _: {f"count/{n}": draw.randrange(10 ** draw.randrange(1, 9)) for n in range(20)}),
        1_000,
        True,
    ),
    Shape(
        "whole-floats",
        "20 whole numbers, written as floats",
        _rows_of(lambda draw, _: {f"count/{n}": float(draw.randrange(10 ** draw.randrange(1, 7))) for n in range(20)}),
        1_000,
        True,
    ),
    Shape("go-order", "23 numbers in Go's random order of maps", lambda _: shuffled(plain_rows(_steps())), 1_000, True),
    Shape("70-percent", "70 % of 23 numbers, at random", _present_at_random, 1_000, True),
    Shape("nan", "23 numbers, a tenth of them NaN", _with_nan, 1_000, True),
    Shape("of-2000-keys", "10 of 2,000 keys", _rows_of(_of_2000_keys), 1_000),
    Shape(
        "new-keys",
        "ten new keys in each row",
        _rows_of(lambda draw, step: {f"row{step}/key{number}": draw.random() for number in range(10)}),
        250,
    ),
    Shape("histogram", "a histogram of 64 values", _rows_of(_histogram), 250),
    Shape("text", "8 plain texts", _rows_of(_texts(_SENTENCE)), 1_000),
    Shape("escapes", "8 texts with escapes, not in ASCII", _rows_of(_texts(_ESCAPED)), 1_000),
    Shape("long-text", "a text of 2 KB", _rows_of(_long_text), 250),
    Shape("prose", "a text with quotes and line breaks", _rows_of(_prose), 1_000),
    Shape("beyond-ascii", "a text of many languages", _rows_of(_beyond_ascii), 1_000),
    Shape("escaped-letters", "the same, its letters escaped by numbers", _rows_of(_beyond_ascii), 1_000, is_ascii=True),
    Shape("nested", "nested dicts", _rows_of(_nested), 1_000),
    Shape("deep", "dicts nested 50 deep", _rows_of(_deep), 250),
    Shape("media", "references of media", _rows_of(_media), 500),
    Shape("table", "a reference of a table", _rows_of(_table_reference), 500),
    Shape(
        "short",
        "5 short values",
        _rows_of(lambda draw, _: {"a": draw.randrange(10), "b": draw.random(), "c": "ok", "d": None}),
        1_000,
    ),
    Shape(
        "bools",
        "20 bools",
        _rows_of(lambda draw, _: {f"flag/{number}": draw.random() < 0.5 for number in range(20)}),
        1_000,
    ),
    Shape("example", "the recorded run of examples/", _recorded, 250),
)

SHAPES = {shape.name: shape for shape in _ALL}
"""All shapes by their names, in the order of the table."""
