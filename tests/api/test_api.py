"""Runs by name equal those that wandb's own public API reads from the same server, and their logs."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import histscan
from histscan.common.json_fields import is_json
from histscan.common.key_info import KeyInfo
from histscan.sources.source_option import SOURCES
from tests.support.graphql_server import Answer, GraphQLServer, Received, data_answer
from tests.support.paths import DATA, EXAMPLE
from tests.support.served_runs import KEYS, LISSAJOUS, NESTED_KEYS, ODD, TYPED, log_of, same
from tests.support.server_process import ServerProcess, serving
from tests.support.wandb_client import Question, ask_wandb, plain

KEY = "5e" * 20

FRAMES: dict[str, dict[str, Any]] = {
    "all keys": {"samples": 100},
    "some keys": {"samples": 50, "keys": ["loss", "gradient.norm"]},
    "other axis": {"samples": 20, "keys": ["loss"], "x_axis": "_runtime"},
    "more than there are": {"samples": 9_000, "keys": ["validation.r2.x"]},
}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """Two projects, three runs."""
    logs = [DATA / "default-encoding.wandb", DATA / "typed-encoding.wandb", EXAMPLE]
    with serving(*logs, "--api-key", KEY) as running:
        yield running


@pytest.fixture
def api(server: ServerProcess) -> histscan.Api:
    return histscan.Api(server.url, KEY)


@pytest.fixture(scope="module")
def asked(server: ServerProcess) -> dict[tuple[str, ...], Any]:
    """The answers of the real client, from one process, because it starts slowly."""
    questions: dict[tuple[str, ...], Question] = {}
    for run in (LISSAJOUS, ODD):
        for name in (
            "config",
            "summary",
            "lastHistoryStep",
            "name",
            "id",
            "path",
            "url",
            "state",
            "created_at",
            "tags",
        ):
            questions[run, name] = Question(name, run)
        questions[run, "scan"] = Question("scan_history", run, {})
        questions[run, "range"] = Question("scan_history", run, {"min_step": 3, "max_step": 40, "page_size": 7})
        questions[run, "list"] = Question("history", run, {"samples": 30, "pandas": False})
    for keys in (KEYS, NESTED_KEYS):
        # In one page: this release returns rows at the boundary of two pages twice.
        questions["keys", keys[1]] = Question("scan_history", LISSAJOUS, {"keys": keys, "page_size": 10_000})
    for label, arguments in FRAMES.items():
        questions["frame", label] = Question("history", LISSAJOUS, arguments)
    listed = {"path": "histscan/fixtures", "per_page": 1}
    questions["runs",] = Question("runs", None, listed, take=("id", "name", "state"))
    questions["newest",] = Question("runs", None, {**listed, "order": "-created_at"}, take=("id",))
    questions["default entity",] = Question("default_entity")
    return dict(zip(questions, ask_wandb(server.url, list(questions.values()), api_key=KEY), strict=True))


def assert_same_tables(table: Any, other: Any) -> None:
    # A server's answers have the keys of a row in an order of their own.
    assert sorted(table.column_names) == sorted(other.column_names)
    table = table.select(other.column_names)
    assert table.schema.equals(other.schema, check_metadata=True)
    # In Arrow, NaN does not equal NaN; and members in JSON text may have any order.
    assert same(
        *([{key: parsed(cell) for key, cell in row.items()} for row in rows.to_pylist()] for rows in (table, other))
    )


def parsed(cell: Any) -> Any:
    return json.loads(cell) if isinstance(cell, str) and cell.startswith(("{", "[")) else cell


def run_answer(**fields: Any) -> Answer:
    return data_answer({"project": {"run": fields}})


def respond(**answers: Callable[[dict[str, Any]], Answer]) -> Callable[[Received], Answer]:
    """Answers each operation with the function of that name."""
    return lambda request: answers[request.operation](request.payload["variables"])


class TestAgainstWandb:
    @pytest.mark.parametrize("run", [LISSAJOUS, ODD])
    def test_description(self, api: histscan.Api, asked: dict[tuple[str, ...], Any], run: str) -> None:
        found = api.run(run)
        for name in ("config", "lastHistoryStep", "name", "id", "path", "url", "state", "created_at", "tags"):
            assert same(getattr(found, name), asked[run, name]), name
        assert same(dict(found.summary), asked[run, "summary"])
        assert found.summary._json_dict == found.summary or run == ODD
        assert [found.entity, found.project] == run.split("/")[:2]
        assert same(found.config, log_of(run).config)

    @pytest.mark.parametrize("run", [LISSAJOUS, ODD])
    def test_rows(self, api: histscan.Api, asked: dict[tuple[str, ...], Any], run: str) -> None:
        found = api.run(run)
        rows = list(found.scan_history(source="pages"))
        assert same(rows, asked[run, "scan"])
        assert same(rows, list(log_of(run).scan_history()))
        assert same(list(found.scan_history(None, 7, 3, 40, source="pages")), asked[run, "range"])
        assert same(list(found.scan_history(keys=[], min_step=None, source="pages")), rows)

    @pytest.mark.parametrize("keys", [KEYS, NESTED_KEYS])
    def test_rows_of_keys(self, api: histscan.Api, asked: dict[tuple[str, ...], Any], keys: list[str]) -> None:
        for source in SOURCES:
            rows = list(api.run(LISSAJOUS).scan_history(keys, page_size=600, source=source))
            assert same(rows, asked["keys", keys[1]])
            assert same(rows, list(log_of(LISSAJOUS).scan_history(keys)))

    @pytest.mark.parametrize("label", FRAMES)
    def test_frames_of_samples(self, api: histscan.Api, asked: dict[tuple[str, ...], Any], label: str) -> None:
        frame = api.run(LISSAJOUS).history(**FRAMES[label])
        # Columns in order, each with its values and their types.
        assert repr(plain(frame)) == repr(asked["frame", label])
        assert len(frame) == min(FRAMES[label]["samples"], 100)

    @pytest.mark.parametrize("run", [LISSAJOUS, ODD])
    def test_lists_of_samples(self, api: histscan.Api, asked: dict[tuple[str, ...], Any], run: str) -> None:
        assert same(api.run(run).history(30, pandas=False), asked[run, "list"])

    def test_listings(self, api: histscan.Api, asked: dict[tuple[str, ...], Any]) -> None:
        runs = api.runs("histscan/fixtures", per_page=1)
        assert [(run.id, run.name, run.state) for run in runs] == asked["runs",]
        assert [(run.id,) for run in api.runs("histscan/fixtures", None, "-created_at", 1)] == asked["newest",]
        assert api.default_entity == asked["default entity",]


class TestScans:
    @pytest.mark.parametrize("run", [LISSAJOUS, ODD])
    def test_keys_are_those_of_the_log(self, api: histscan.Api, run: str) -> None:
        keys = api.run(run).keys()
        log = log_of(run)
        known = log.keys()
        # This server does not count the values of keys that have any.
        expected = [KeyInfo(key.name, key.type, None if key.count else 0) for key in known]
        assert list(map(KeyInfo.as_dict, keys)) == list(map(KeyInfo.as_dict, expected))
        assert set(keys) == set(log.to_arrow(nested="flatten").column_names)
        assert keys[0] == "_step"

    def test_any_key(self, api: histscan.Api) -> None:
        keys = ["_step", "validation.r2.x", "weights.hidden1._type", "loss"]
        expected = []
        for row in log_of(LISSAJOUS).scan_history():
            chosen = {"_step": row["_step"]}
            if "validation" in row:
                chosen["validation.r2.x"] = row["validation"]["r2"]["x"]
            if "weights" in row:
                chosen["weights.hidden1._type"] = row["weights"]["hidden1"]["_type"]
            if "loss" in row:
                chosen["loss"] = row["loss"]
            expected.append(chosen)
        found = api.run(LISSAJOUS)
        assert list(found.scan_history(keys, 700, any_key=True)) == expected
        rare = ["weights.hidden1._type", "validation.r2.x"]
        rows = list(found.scan_history(rare, any_key=True))
        chosen_rows = ({key: row[key] for key in rare if key in row} for row in expected)
        assert rows == [row for row in chosen_rows if row]
        assert 0 < len(rows) < len(expected)
        assert {tuple(row) for row in rows} == {(rare[0],), (rare[1],)}
        assert found.scan_history(rare, any_key=True).to_arrow().column_names == rare

    @pytest.mark.parametrize(
        ("row", "key", "found"),
        [
            ({"a.b": 1, "a": {"b": 2}}, "a.b", [1]),
            ({"a": {"b.c": 1}}, "a.b.c", [1]),
            ({"a.b": {"c": None}, "a": {"b": {"c": 3}}}, "a.b.c", [None]),
            ({"a.b": {"d": 1}, "a": {"b": {"c": 3}}}, "a.b.c", [3]),
            ({"a": 1}, "a.b", []),
        ],
    )
    def test_any_key_of_a_dotted_name_and_of_what_is_nested(
        self, server_of_own: GraphQLServer, row: dict[str, Any], key: str, found: list[Any]
    ) -> None:
        server_of_own.respond = respond(
            LastStep=lambda _: run_answer(historyKeys={"lastStep": 0}),
            HistoryPage=lambda _: run_answer(history=[json.dumps({"_step": 0, **row})]),
        )
        rows = list(run_on(server_of_own).scan_history([key], any_key=True))
        assert rows == [{key: value} for value in found]

    def test_rows_before_a_malformed_one_are_given(self, server_of_own: GraphQLServer) -> None:
        texts = ['{"_step": 0, "a": 1}', '{"_step": 1, "b": 2}', '{"_step": 2, "a": nonsense}', '{"_step": 3, "a": 4}']
        server_of_own.respond = respond(
            LastStep=lambda _: run_answer(historyKeys={"lastStep": 3}),
            HistoryPage=lambda _: run_answer(history=texts),
        )
        scan = run_on(server_of_own).scan_history(["a"], any_key=True)
        assert next(scan) == {"a": 1}
        with pytest.raises(histscan.HistoryDecodeError, match="run e/p/r"):
            next(scan)

    def test_columns(self, api: histscan.Api) -> None:
        found, log = api.run(LISSAJOUS), log_of(LISSAJOUS)
        assert_same_tables(found.scan_history(source="pages").to_arrow(), log.to_arrow())
        # From files: nested values come after the others, and their members are sorted by name.
        plain = [field.name for field in log.to_arrow().schema if not is_json(field)]
        assert_same_tables(found.to_arrow(plain), log.to_arrow(plain))
        assert sorted(found.to_arrow().column_names) == sorted(log.to_arrow().column_names)
        assert found.to_polars(["_step", "loss"]).equals(log.to_polars(["_step", "loss"]))
        assert found.to_pandas(["validation.r2.x"]).equals(log.to_pandas(["validation.r2.x"]))
        assert [batch.num_rows for batch in found.batches(rows=2_000)] == [2_000, 2_000, 1_000]
        import pyarrow

        assert_same_tables(pyarrow.table(found), found.to_arrow())
        assert_same_tables(pyarrow.table(found.scan_history(source="pages")), log.to_arrow())
        table = found.scan_history(["_step", "no such key"]).to_arrow()
        assert (table.num_rows, table.column_names) == (0, ["_step", "no such key"])

    def test_pages_are_fetched_ahead_in_windows_that_fit(self, server_of_own: GraphQLServer) -> None:
        asked_for: list[tuple[int, int]] = []

        def page(variables: dict[str, Any]) -> Answer:
            asked_for.append((variables["minStep"], variables["maxStep"]))
            return run_answer(history=[])

        server_of_own.respond = respond(
            LastStep=lambda _: run_answer(historyKeys={"lastStep": 999_999}), HistoryPage=page
        )
        run = run_on(server_of_own)
        scan = run.scan_history()
        assert asked_for == []
        assert list(scan) == []
        assert len(asked_for) < 40
        assert max(stop for _, stop in asked_for) == 1_000_000
        assert list(run.scan_history(prefetch=0, window="fixed", max_step=5_000)) == []
        assert asked_for[-5:] == [(first, first + 1_000) for first in range(0, 5_000, 1_000)]

    def test_progress(self, api: histscan.Api) -> None:
        for source in SOURCES:
            told: list[Any] = []
            scan = api.run(LISSAJOUS).scan_history(page_size=1_000, source=source, progress=told.append)
            for _ in range(2):
                assert len(list(scan)) == 5_000
                assert (told[-1].step, told[-1].stop_step, told[-1].rows) == (5_000, 5_000, 5_000)
                assert told[-1].pages == len(told)
                told.clear()

    def test_arguments_that_make_no_sense(self, api: histscan.Api) -> None:
        found = api.run(LISSAJOUS)
        wrong: Any
        for wrong in ("loss", [1], ["loss", None]):
            with pytest.raises(ValueError, match="keys must be a list of strings"):
                found.scan_history(wrong)
            with pytest.raises(ValueError, match="keys must be a list of strings"):
                found.history(keys=wrong)
        with pytest.raises(ValueError, match="any_key"):
            found.scan_history(any_key=True)
        with pytest.raises(ValueError, match="samples"):
            found.history(0)


class TestRuns:
    def test_length_places_and_slices(self, api: histscan.Api, server: ServerProcess) -> None:
        server.forget_traffic(auth=("api", KEY))
        runs = api.runs("histscan/fixtures", per_page=1)
        assert "ListRuns" not in server.traffic(auth=("api", KEY))["operations"]
        assert len(runs) == 2
        assert runs[0].id == ODD.split("/")[-1]
        assert server.traffic(auth=("api", KEY))["operations"] == {"ListRuns": 1}
        assert runs[-1].id == TYPED.split("/")[-1]
        assert [run.id for run in runs[1:]] == [runs[1].id]
        assert list(runs) == list(runs)
        with pytest.raises(IndexError):
            runs[2]
        assert server.traffic(auth=("api", KEY))["operations"] == {"ListRuns": 2}
        assert same(runs[0].config, log_of(ODD).config)
        assert same(dict(runs[0].summary), log_of(ODD).summary)
        assert server.traffic(auth=("api", KEY))["operations"] == {"ListRuns": 2, "DescribeRun": 1}

    def test_filters(self, api: histscan.Api) -> None:
        listed = api.runs("histscan/fixtures", {"display_name": {"$regex": "^typed"}})
        assert [run.id for run in listed] == [TYPED.split("/")[-1]]
        assert len(api.runs("histscan/fixtures", {"config.learning_rate": 17})) == 0
        assert list(api.runs("histscan/fixtures", {"config.learning_rate": 17})) == []
        assert [run.id for run in api.runs("histscan/fixtures").filter(listed.filters)] == [run.id for run in listed]
        assert [run.id for run in listed.filter({"state": "finished"})] == [
            run.id for run in listed if run.state == "finished"
        ]
        assert list(listed.filter({"config.learning_rate": 17})) == []
        with pytest.raises(histscan.GraphQLResponseError, match="there is no operator"):
            list(api.runs("histscan/fixtures", {"state": {"$near": 1}}))

    def test_missing_project(self, api: histscan.Api) -> None:
        runs = api.runs("histscan/nothing")
        with pytest.raises(histscan.RunNotFoundError, match=r"no such project.*histscan/nothing"):
            list(runs)

    def test_list_that_does_not_move_on_ends(self, server_of_own: GraphQLServer) -> None:
        page = {"edges": [{"node": {"name": "r"}}], "pageInfo": {"hasNextPage": True, "endCursor": "c"}}
        server_of_own.respond = lambda _: data_answer({"project": {"runCount": 9, "runs": page}})
        assert [run.id for run in histscan.Api(server_of_own.url).runs("e/p")] == ["r", "r"]

    @pytest.mark.parametrize("runs", [None, {}, {"edges": [{}], "pageInfo": {}}, {"edges": [{"node": {"name": "r"}}]}])
    def test_answer_of_another_shape(self, server_of_own: GraphQLServer, runs: Any) -> None:
        server_of_own.respond = lambda _: data_answer({"project": {"runCount": 1, "runs": runs}})
        with pytest.raises(histscan.ResponseShapeError, match=r"not a list of runs \(run e/p\)"):
            list(histscan.Api(server_of_own.url).runs("e/p"))

    def test_entity_of_the_environment(self, server_of_own: GraphQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
        server_of_own.respond = lambda _: data_answer({"viewer": None})
        with pytest.raises(histscan.HistoryRequestError, match="the path has no entity"):
            histscan.Api(server_of_own.url).run("p/r")
        monkeypatch.setenv("WANDB_ENTITY", "team")
        assert histscan.Api(server_of_own.url).runs("p").entity == "team"


def run_on(server: GraphQLServer) -> histscan.Run:
    before, server.respond = server.respond, lambda _: run_answer(name="r", config="{}", summaryMetrics="{}")
    run = histscan.Api(server.url, retries=0).run("e/p/r")
    server.respond = before
    return run


class TestDescription:
    def test_values_are_taken_out_of_their_wrapping(self, server_of_own: GraphQLServer) -> None:
        config = {
            "rate": {"desc": None, "value": 0.5},
            "value": {"value": {"value": 3}},
            "plain": {"a": 1},
            "_wandb": {"value": {"cli": "0"}},
            "wandb_version": 1,
        }
        text = json.dumps(config)[:-1] + ', "text": {"value": "a\tb"}, "nan": {"value": NaN}}'
        server_of_own.respond = lambda _: run_answer(
            name="r", displayName=None, tags=None, group=None, config=text, summaryMetrics={"best": 1}
        )
        run = histscan.Api(server_of_own.url).run("e/p/r")
        assert math.isnan(run.config.pop("nan"))
        assert run.config == {"rate": 0.5, "value": {"value": 3}, "plain": {"a": 1}, "text": "a\tb"}
        assert run.summary == {"best": 1}
        assert (run.name, run.tags, run.group, run.notes, run.job_type) == ("r", [], "", "", "")

    def test_nothing_at_all(self, server_of_own: GraphQLServer) -> None:
        server_of_own.respond = lambda _: run_answer(name="r", config=None, summaryMetrics=None)
        run = histscan.Api(server_of_own.url).run("e/p/r")
        assert (run.config, run.summary) == ({}, {})
        server_of_own.respond = lambda _: run_answer(historyKeys=None)
        assert run.lastHistoryStep == -1
        assert list(run.scan_history()) == []

    @pytest.mark.parametrize("config", ["{", "[]", [], 3])
    def test_config_of_another_shape(self, server_of_own: GraphQLServer, config: Any) -> None:
        server_of_own.respond = lambda _: run_answer(name="r", config=config, summaryMetrics="{}")
        run = histscan.Api(server_of_own.url).run("e/p/r")
        with pytest.raises(histscan.ResponseShapeError, match="`config` in the server's answer"):
            _ = run.config

    def test_last_step_of_another_shape(self, server_of_own: GraphQLServer) -> None:
        run = run_on(server_of_own)
        server_of_own.respond = lambda _: run_answer(historyKeys={"lastStep": "many"})
        with pytest.raises(histscan.ResponseShapeError, match="`lastStep`"):
            run.scan_history()

    def test_refresh(self, server_of_own: GraphQLServer) -> None:
        states = iter(["running", "finished"])
        server_of_own.respond = lambda _: run_answer(
            name="r", state=next(states), config=json.dumps({"asked": {"value": len(server_of_own.received)}})
        )
        run = histscan.Api(server_of_own.url).run("e/p/r")
        run.load()
        assert (run.state, run.config) == ("running", {"asked": 1})
        run.refresh()
        assert (run.state, run.config) == ("finished", {"asked": 2})

    def test_address_of_the_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from histscan.api.names import RunName

        def url(base_url: str) -> str:
            return histscan.Run(histscan.Client(base_url), RunName("some one", "p", "a/b")).url

        # As in wandb 0.31.0: api.wandb.ai is another name of its default server.
        path = "some%20one/p/runs/a%2Fb"
        assert url("https://api.wandb.ai") == f"https://forge.coreweave.com/wandb/{path}"
        assert url("https://api.forge.coreweave.com") == f"https://forge.coreweave.com/wandb/{path}"
        assert url("https://api.qa.wandb.ai") == f"https://qa.forge.coreweave.com/wandb/{path}"
        assert url("https://api.example.com") == f"https://app.example.com/{path}"
        assert url("https://wandb.example.com/x") == f"https://wandb.example.com/x/{path}"
        assert url("http://127.0.0.1:8080") == f"http://127.0.0.1:8080/{path}"
        monkeypatch.setenv("WANDB_APP_URL", "https://pages.example.com/")
        assert url("https://api.wandb.ai") == f"https://pages.example.com/{path}"


class TestErrors:
    @pytest.mark.parametrize("path", ["histscan/examples/nobody", "histscan/examples/..%2f..%2fetc"])
    def test_missing_run(self, api: histscan.Api, path: str) -> None:
        with pytest.raises(histscan.RunNotFoundError, match="no such run") as caught:
            api.run(path)
        assert caught.value.run == path
        assert isinstance(caught.value, LookupError)

    def test_missing_project(self, api: histscan.Api) -> None:
        with pytest.raises(histscan.RunNotFoundError, match=r"no such project.*\(run histscan/nothing/lissajous\)"):
            api.run("histscan/nothing/lissajous")

    def test_run_that_is_gone(self, server_of_own: GraphQLServer) -> None:
        run = run_on(server_of_own)
        server_of_own.respond = lambda _: data_answer({"project": {"run": None}})
        for ask in (run.refresh, run.scan_history, run.history):
            with pytest.raises(histscan.RunNotFoundError, match="run e/p/r"):
                ask()

    def test_wrong_key_is_not_shown(self, server: ServerProcess) -> None:
        wrong = "ab" * 20
        api = histscan.Api(server.url, wrong)
        with pytest.raises(histscan.HistoryRequestError, match="HTTP 401") as caught:
            api.run(LISSAJOUS)
        assert wrong not in f"{caught.value!r} {caught.value} {api!r} {api.client!r} {api.runs('a/b')!r}"

    def test_key_that_a_server_repeats_is_not_shown(self, server_of_own: GraphQLServer) -> None:
        server_of_own.respond = lambda _: Answer(json.dumps({"errors": [{"message": f"key {KEY}"}]}).encode())
        api = histscan.Api(server_of_own.url, KEY)
        with pytest.raises(histscan.GraphQLResponseError, match=r"key \[API key\]") as caught:
            api.run("e/p/r")
        assert KEY not in repr(caught.value) + str(caught.value)


class TestOpen:
    def test_run_by_name(self, server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        run = histscan.open(LISSAJOUS)
        assert isinstance(run, histscan.Run)
        assert run.name == "lissajous regression"
        assert KEY not in repr(run)
        with pytest.raises(histscan.RunNotFoundError, match="there is no such file either"):
            histscan.open("histscan/examples/nobody")
        with pytest.raises(FileNotFoundError):
            histscan.open(Path("histscan/examples/lissajous"))

    def test_path_that_exists_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / LISSAJOUS
        folder.mkdir(parents=True)
        (folder / "run-lissajous.wandb").write_bytes(EXAMPLE.read_bytes())
        monkeypatch.chdir(tmp_path)
        # No server would answer there.
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
        run = histscan.open(LISSAJOUS)
        assert isinstance(run, histscan.LogRun)
        assert run.lastHistoryStep == 4999

    def test_wandb_is_not_needed(self, server: ServerProcess) -> None:
        script = f"""if True:
            import sys
            sys.modules["wandb"] = None
            import histscan
            run = histscan.Api({server.url!r}, {KEY!r}).run({LISSAJOUS!r})
            assert len(list(run.scan_history(["_step", "loss"], source="pages"))) == 5000
            assert len(run.history(7, pandas=False)) == 7
            assert not any(name in sys.modules for name in ("wandb.apis", "pandas", "pyarrow"))
        """
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("path", [LISSAJOUS, ODD])
def test_a_served_run_says_of_itself_what_its_log_says(api: histscan.Api, path: str) -> None:
    run, log = api.run(path), log_of(path)
    for name in (
        "name",
        "path",
        "state",
        "exit_code",
        "created_at",
        "heartbeat_at",
        "tags",
        "group",
        "job_type",
        "notes",
    ):
        assert getattr(run, name) == getattr(log, name), name
    assert same(run.history(samples=40, pandas=False), log.history(samples=40, pandas=False))
    keys = ["loss", "gradient.norm"]
    if path == ODD:
        for source in (run, log):
            with pytest.raises(histscan.UnknownKeyError, match=r"gradient\.norm"):
                source.history(keys=keys)
        return
    sampled = [source.history(samples=30, keys=keys, pandas=False) for source in (run, log)]
    assert same(*sampled)
    assert len(sampled[0]) == 30
