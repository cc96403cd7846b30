"""JSON Lines files as runs: rows are what ``json.loads`` makes of each line, our own exports among them."""

from __future__ import annotations

import copy
import gzip
import io
import json
import math
import pickle
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import histscan
from histscan.cli.main import main
from histscan.columns.arrow_files import write_parquet
from histscan.common.key_info import KeyInfo
from histscan.common.steps import step_after
from histscan.errors import HistoryDecodeError, HistoryError, LogFormatError, LogTruncatedWarning
from histscan.runs.jsonl_run import JsonlRun
from tests.support import wire
from tests.support.compressed_files import zstd_compress
from tests.support.json_corpus import fingerprint, is_json, is_utf8
from tests.support.json_strategies import object_texts
from tests.support.log_samples import write_run
from tests.support.paths import EXAMPLE
from tests.support.window_sizes import set_window_size

COMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd_compress}
compressed = pytest.mark.parametrize("packed", COMPRESS)

lines = st.lists(object_texts.filter(lambda text: is_json(text) and is_utf8(text) and "\n" not in text), max_size=5)


def write(folder: Path, content: str | bytes, name: str = "history.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_rows(folder: Path, rows: Sequence[Any], name: str = "history.jsonl") -> Path:
    return write(folder, "".join(f"{json.dumps(row)}\n" for row in rows), name)


def scan_of(path: Path, *arguments: Any, **options: Any) -> Any:
    return histscan.open(path).scan_history(*arguments, **options)


@settings(max_examples=40)
@given(
    texts=lines,
    breaks=st.sampled_from(["\n", "\r\n", "\n\n", "\n \t\r\n"]),
    size=st.sampled_from([1, 10, 100, 1 << 20]),
    packed=st.sampled_from(sorted(COMPRESS)),
    data=st.data(),
)
def test_rows_are_those_of_json(
    packed: str, texts: list[str], breaks: str, size: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ends_with_break = data.draw(st.booleans())
    starts_with_mark = data.draw(st.booleans())
    content = ("\ufeff" if starts_with_mark else "") + breaks.join(texts) + (breaks if ends_with_break else "")
    path = write(tmp_path_factory.mktemp("rows"), COMPRESS[packed](content.encode()), f"a.ndjson{packed}")
    expected = [json.loads(text) for text in texts]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        set_window_size(patch, size)
        scan = scan_of(path)
        assert fingerprint(list(scan)) == fingerprint(expected)
        assert fingerprint(list(scan)) == fingerprint(expected)
        assert scan.to_arrow().num_rows == len(expected)
        assert sum(batch.num_rows for batch in scan.batches(rows=3)) == len(expected)


def test_our_own_exports_read_back(tmp_path: Path) -> None:
    log = histscan.LogRun(EXAMPLE)
    assert main(["export", str(EXAMPLE), "-o", str(tmp_path / "history.jsonl"), "-q"]) == 0
    run = histscan.open(tmp_path / "history.jsonl")
    assert isinstance(run, JsonlRun)
    assert repr(list(run.scan_history())) == repr(list(log.scan_history()))
    assert list(map(KeyInfo.as_dict, run.keys())) == list(map(KeyInfo.as_dict, log.keys()))
    assert run.lastHistoryStep == log.lastHistoryStep
    assert (run.id, run.name, run.config, run.path) == ("history", "history", {}, ["", "", "history"])
    for keys in (["loss"], ["validation.loss", "_step"], ["loss", "examples"]):
        ours, theirs = (
            run.scan_history(keys, min_step=7, max_step=900),
            log.scan_history(keys, min_step=7, max_step=900),
        )
        assert ours.to_arrow().equals(theirs.to_arrow())
        # Columns of other keys are those of the rows that have all of the keys.
        assert ours.to_arrow(["_runtime"]).equals(theirs.to_arrow(["_runtime"]))
        assert pyarrow.table(ours).num_rows == len(list(ours))


def test_values_that_json_lacks_read_back_exactly(tmp_path: Path) -> None:
    values = ["NaN", "Infinity", "-Infinity", "-0.0", "1e400", str(2**64), str(-(10**40)), '"\\ud800"', "[NaN]", "null"]
    log = write_run(
        tmp_path / "run-a.wandb", [wire.history_record([("a", text)], step) for step, text in enumerate(values)]
    )
    assert main(["export", str(log), "-o", str(tmp_path / "a.jsonl"), "-q"]) == 0
    rows = list(histscan.LogRun(log).scan_history())
    assert fingerprint(list(scan_of(tmp_path / "a.jsonl"))) == fingerprint(rows)
    assert fingerprint([row["a"] for row in rows]) == fingerprint([json.loads(text) for text in values])


steps = st.one_of(st.integers(-3, 30), st.sampled_from([None, "x", 1.5, 4.0, True, math.nan, 2**70]))


@given(
    found=st.lists(st.one_of(st.none(), steps.map(lambda step: {"_step": step}))),
    first=st.integers(-2, 12),
    stop=st.integers(-2, 20),
    size=st.integers(1, 40),
)
def test_windows_of_steps(
    found: list[Any], first: int, stop: int, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [{"a": place, **(row or {})} for place, row in enumerate(found)]
    expected, step, highest = [], -1, -1
    for row in rows:
        step = step_after(row.get("_step"), step)
        highest = max(highest, step)
        if first <= step < stop:
            expected.append(row)
    run = histscan.open(write_rows(tmp_path_factory.mktemp("steps"), rows))
    with pytest.MonkeyPatch.context() as patch:
        set_window_size(patch, size)
        scan = run.scan_history(min_step=first, max_step=stop)
        if first > 0:
            assert fingerprint(list(scan)) == fingerprint(expected)
            assert scan.to_arrow(["a"]).column("a").to_pylist() == [row["a"] for row in expected]
        assert run.lastHistoryStep == highest


def test_rows_have_all_keys(tmp_path: Path) -> None:
    rows = [{"a": 1}, {"a": None, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}}, {"a": 5, "b.c": 6, "b": 7}, {"a": 8, "b": 9}]
    path = write_rows(tmp_path, rows)
    assert list(scan_of(path, ["b.c", "a"])) == [{"b.c": 2, "a": None}, {"b.c": 6, "a": 5}]
    assert scan_of(path, ["b.c", "a"]).to_arrow().to_pydict() == {"b.c": [2, 6], "a": [None, 5]}
    assert list(scan_of(path, [])) == rows
    assert histscan.open(path).history(keys=["a"], x_axis="b.c", pandas=False) == list(scan_of(path, ["b.c", "a"]))
    with pytest.raises(ValueError, match="keys must be a list of strings"):
        scan_of(path, "a")
    with pytest.raises(ValueError, match="keys must be a list of strings"):
        scan_of(path).to_arrow("a")


MALFORMED: list[tuple[bytes, int, int, str]] = [
    (b'{"a":x}', 4, 5, "a JSON value was expected"),
    (b'{"a":1}}', 4, 7, "extra text"),
    ('{"é":"é",}'.encode(), 4, 11, "was expected"),
    (b"[1]", 4, 0, "a row must be a JSON object"),
    (b"null", 4, 0, "a row must be a JSON object"),
    (b'{"a":"\xff"}', 4, 6, "not valid UTF-8"),
]


@pytest.mark.parametrize(("text", "line", "byte", "words"), MALFORMED)
@pytest.mark.parametrize("size", [3, 1 << 20])
@compressed
def test_malformed_line(
    packed: str,
    size: int,
    text: bytes,
    line: int,
    byte: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = '{"é":0,"_step":0}\n\n{"a":1,"_step":1}\r\n'.encode()
    path = write(tmp_path, COMPRESS[packed](before + text + b'\n{"a":3}\n'), f"a.jsonl{packed}")
    set_window_size(monkeypatch, size)
    place = rf"line {line}: .*{words}.*\(run {path}, byte {len(before) + byte}\b"
    for options, good in (({}, 2), ({"min_step": 1}, 1), ({"keys": ["a"]}, 1)):
        scan = scan_of(path, **options)
        rows = []
        for _ in range(2):
            with pytest.raises(HistoryDecodeError, match=place) as caught:
                rows.extend(scan)
            assert caught.value.byte == len(before) + byte
            assert caught.value.run == str(path)
        with pytest.raises(HistoryDecodeError, match=place):
            next(scan)
        assert len(rows) == 2 * good
        for read in (scan.to_arrow, lambda scan=scan: write_parquet(scan, io.BytesIO())):
            with pytest.raises(HistoryDecodeError, match=place):
                read()
        batches = []
        with pytest.raises(HistoryDecodeError, match=place):
            batches.extend(scan.batches(rows=1))
        assert sum(batch.num_rows for batch in batches) == good
    for read in (histscan.open(path).keys, lambda: histscan.open(path).lastHistoryStep):
        with pytest.raises(HistoryDecodeError, match=place):
            read()


@pytest.mark.parametrize("cut", [b'{"a":2', b'{"a":"\xc3', b"{", b'{"a":{"b":1}'])
@compressed
def test_last_line_that_is_still_being_written(packed: str, cut: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, COMPRESS[packed](b'{"a":0}\n{"a":1}\n' + cut), f"a.jsonl{packed}")
    scan = scan_of(path)
    with pytest.warns(LogTruncatedWarning, match="ends within line 3"):
        assert list(scan) == [{"a": 0}, {"a": 1}]
    with pytest.warns(LogTruncatedWarning) as told:
        assert [batch.num_rows for batch in scan.batches()] == [2]
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert histscan.open(path).keys() == ["a"]


def test_file_that_grows(tmp_path: Path) -> None:
    path = write_rows(tmp_path, [{"_step": 0}])
    run = histscan.open(path)
    scan = run.scan_history()
    assert (len(list(scan)), run.lastHistoryStep, run.summary) == (1, 0, {"_step": 0})
    batches = scan.batches(rows=1)
    found = [next(batches)]
    with path.open("a") as file:
        file.write('{"_step": 1, "a": "text"}\n')
    # Both passes read what there was when the first one began.
    assert [batch.to_pylist() for batch in [*found, *batches]] == [[{"_step": 0}]]
    assert (len(list(scan)), run.lastHistoryStep, run.summary) == (2, 1, {"_step": 1, "a": "text"})
    assert scan.to_arrow().column_names == ["_step", "a"]


def test_compressed_data_that_are_cut_or_damaged(tmp_path: Path) -> None:
    rows = [{"_step": step, "text": str(hash((step,)))} for step in range(20_000)]
    whole = gzip.compress(write_rows(tmp_path, rows).read_bytes())
    path = write(tmp_path, whole[: len(whole) // 2], "cut.jsonl.gz")
    with pytest.warns(LogTruncatedWarning, match="end early"):
        found = list(scan_of(path))
    assert 0 < len(found) < len(rows)
    assert found == rows[: len(found)]
    path = write(tmp_path, whole[:-8] + b"\0\0\0\0" + whole[-4:], "bad.jsonl.gz")
    found = []
    with pytest.raises(LogFormatError, match=rf"damaged.*run {path}"):
        found.extend(scan_of(path))
    assert found == rows


def test_what_is_opened(tmp_path: Path) -> None:
    path = write_rows(tmp_path, [{"a": 1}], "one.jsonl")
    for given_path in (path, str(path), [path], str(tmp_path / "*.jsonl"), str(tmp_path / "one*")):
        opened = histscan.open(given_path)
        assert isinstance(opened, JsonlRun)
        assert opened.files == [path]
    other = write_rows(tmp_path, [{"a": 1}], "two.jsonl")
    for several in ([path, other], str(tmp_path / "*.jsonl")):
        with pytest.raises(HistoryError, match="2 JSON Lines files: pass the path of one"):
            histscan.open(several)
    with pytest.raises(HistoryError, match="both JSON Lines files and logs"):
        histscan.open([path, EXAMPLE])
    for missing in (tmp_path / "none.jsonl", str(tmp_path / "none*.jsonl"), "folder/more/none.jsonl.gz"):
        with pytest.raises(FileNotFoundError, match=r"none"):
            histscan.open(missing)
    # What else lies in a folder of runs does not make it a history.
    with pytest.raises(FileNotFoundError, match=r"no \.wandb file"):
        histscan.open(tmp_path)
    folder = tmp_path / "offline-run-20260131_120000-a"
    folder.mkdir()
    log = write_run(folder / "run-a.wandb", [])
    assert histscan.open(tmp_path).files == [log]


def test_empty_file(tmp_path: Path) -> None:
    for content in ("", "\n", " \r\n\n"):
        run = histscan.open(write(tmp_path, content))
        assert (list(run.scan_history()), run.lastHistoryStep, run.keys(), run.summary) == ([], -1, [], {})
        assert run.to_arrow().num_rows == len(run.history()) == 0
        assert [*run.system_metrics(), *run.console()] == []


def test_copies_and_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path, [{"_step": step} for step in range(4)])
    monkeypatch.chdir(tmp_path)
    run = histscan.open("history.jsonl")
    scan = run.scan_history(min_step=1)
    assert next(scan) == {"_step": 1}
    pickled = pickle.dumps([run, scan])
    monkeypatch.chdir(tmp_path.parent)
    again, scan_again = pickle.loads(pickled)
    assert again.files == [tmp_path / "history.jsonl"]
    for same in (scan_again, copy.copy(scan_again), scan_again.clone(), again.scan_history(min_step=1)):
        assert list(same) == [{"_step": 1}, {"_step": 2}, {"_step": 3}]


def test_every_command_takes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_rows(tmp_path, [{"_step": step, "loss": 1 / (step + 1), "n": {"a": step}} for step in range(50)])
    assert main(["head", str(path), "-n", "2", "--json", "-k", "n.a"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"_step": 0, "n.a": 0},
        {"_step": 1, "n.a": 1},
    ]
    assert main(["info", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["file"], told["rows"], sorted(told["keys"])) == (str(path), 50, ["_step", "loss", "n.a"])
    assert main(["info", str(path)]) == 0
    assert "50 rows, steps 0 to 49" in capsys.readouterr().out
    assert main(["export", str(path), "-o", str(tmp_path / "a.parquet"), "--nested", "flatten"]) == 0
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").column("n.a").to_pylist() == list(range(50))
    assert main(["plot", str(path), "-k", "loss", "-o", str(tmp_path / "a.svg")]) == 0
    assert (tmp_path / "a.svg").stat().st_size > 1_000
    assert main(["export", str(path), "-o", str(path)]) != 0
    assert "write to another file" in capsys.readouterr().err
    assert main(["export", str(path), "--stream", "system", "-o", str(tmp_path / "s.csv")]) == 0
    assert "no system metrics" in capsys.readouterr().err
