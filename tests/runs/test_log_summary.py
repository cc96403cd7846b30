"""The config and the summary of a `.wandb` file: what the client itself said they were."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import histscan
from tests.support import log_oracle, wire
from tests.support.log_oracle import same_values
from tests.support.log_samples import write_run
from tests.support.recording import OFFLINE_SETTINGS, clean_environment

KEPT_BY_CLIENT = """
import json, sys, wandb
settings = {name: value for name, value in json.loads(sys.argv[2]).items() if name in wandb.Settings.model_fields}
config = {"lr": 0.1, "layers": [1, 2], "optimizer": {"name": "adam", "betas": [0.9, 0.999]}, "tag": None, "old": 1}
run = wandb.init(dir=sys.argv[1], id="kept", config=config, settings=wandb.Settings(**settings))
run.config.update({"lr": 0.2, "new": {"a": {"b": 1}}}, allow_val_change=True)
run.config.update({"optimizer": {"name": "sgd"}}, allow_val_change=True)
run.config.later = "é"
run.define_metric("lowest", summary="min")
run.summary["first a number"] = 1
for i in range(20):
    row = {"lowest": abs(10 - i), "nested": {"a": i, "b": {"c": i}}, "text": f"t{i}", "nan": float("nan")}
    run.log({**row, "emptied": {"b": {"c": i}}, "set below": {"a": {"b": i}}, "set whole": {"a": i}})
    run.log({"first a number": {"then": "nested"}, "dotted.name": i, "d": {"o": {"t": i}}})
run.summary["best"] = 1
run.summary["temporary"] = 2
run.summary.update({"report": {"passed": True, "deep": {"er": [1, {"x": None}]}}})
run.summary["set below"]["a"]["b"] = {"c": [1]}
run.summary["set below"]["a"]["new"] = 7
run.summary["set whole"] = {"x": 1}
run.summary["replaced"] = {"x": 1}
run.summary["replaced"] = 7
run.summary["back"] = 7
run.summary["back"] = {"y": {"z": 1}}
del run.summary["temporary"]
del run.summary["text"]
del run.summary["emptied"]["b"]["c"]
run.summary["temporary"] = "again"
print(json.dumps({"config": dict(run.config), "summary": run.summary._as_dict()}))
run.finish()
wandb.teardown()
"""


def test_config_and_summary_are_those_of_the_client(tmp_path: Path) -> None:
    """The oracle is what `run.config` and `run.summary` said in the process that logged."""
    finished = subprocess.run(
        [sys.executable, "-c", KEPT_BY_CLIENT, str(tmp_path), json.dumps(OFFLINE_SETTINGS)],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    said = json.loads(finished.stdout.splitlines()[-1])
    run = histscan.open(tmp_path / "wandb")
    assert run.id == "kept"
    assert run.config == said["config"]
    # What is about the time of day was updated between the last word and the end.
    times = {"_runtime", "_timestamp", "_wandb"}
    summary = {key: value for key, value in run.summary.items() if key not in times}
    expected = {key: value for key, value in said["summary"].items() if key not in times}
    assert same_values(summary, expected)
    assert {"best", "lowest", "nested", "set below", "temporary"} <= summary.keys()
    assert not {"emptied", "text"} & summary.keys()
    folded = log_oracle.folded_by_wandb(run.file.read_bytes(), "summary")
    assert same_values(run.summary, folded)


paths = st.one_of(
    st.sampled_from(["a", "b", "c", "a.b"]),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=3).map(tuple),
)
changes = st.tuples(st.sampled_from(["update", "update", "remove"]), paths, st.sampled_from(["1", '"x"', "[]", "null"]))


@given(st.lists(st.lists(changes, max_size=3), max_size=12))
@settings(max_examples=200)
def test_updates_and_removals_fold_in_their_order(steps: list[list[tuple[str, str | tuple[str, ...], str]]]) -> None:
    records = [
        wire.update_record(
            kind,
            [(path, text) for change, path, text in step if change == "update"],
            [path for change, path, _ in step if change == "remove"],
        )
        for step in steps
        for kind in (wire.SUMMARY, wire.CONFIG)
    ]
    with tempfile.TemporaryDirectory() as folder:
        run = histscan.open(write_run(Path(folder) / "run.wandb", records))
        log = run.file.read_bytes()
        assert run.summary == log_oracle.folded_by_wandb(log, "summary")
        assert run.config == log_oracle.folded_by_wandb(log, "config")


def test_config_leaves_out_wandbs_own_entry(tmp_path: Path) -> None:
    config = wire.field(1, wire.item("_wandb", '{"cli_version":"0"}')) + wire.field(1, wire.item("lr", "0.1"))
    path = tmp_path / "run.wandb"
    path.write_bytes(wire.write_log([wire.run_record("id", config=config)]))
    assert histscan.open(path).config == {"lr": 0.1}


def test_many_summary_keys(tmp_path: Path) -> None:
    """More than the core remembers by their bytes."""
    records = [
        wire.update_record(wire.SUMMARY, [(f"key{index}", str(index + shift)) for index in range(20_000)])
        for shift in (0, 1)
    ]
    records.append(wire.update_record(wire.SUMMARY, removals=[f"key{index}" for index in range(0, 20_000, 2)]))
    run = histscan.open(write_run(tmp_path / "run.wandb", records))
    assert run.summary == {f"key{index}": index + 1 for index in range(1, 20_000, 2)}
