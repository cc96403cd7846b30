"""The parts of the command line around the runs: completion, hints, --source of head, exit codes of Ctrl-C."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import histscan
from histscan.cli.exit_codes import FAILED, INTERRUPTED, MISUSED
from histscan.cli.main import COMMANDS, main
from tests.support.extras import install_command
from tests.support.paths import EXAMPLE
from tests.support.server_process import serving

LOG = str(EXAMPLE)


class TestCompletion:
    def script(self, shell: str, capsys: pytest.CaptureFixture[str]) -> str:
        pytest.importorskip("shtab")
        assert main(["completion", shell]) == 0
        return capsys.readouterr().out

    def completed(self, script: Path, *words: str) -> list[str]:
        """What bash offers for the last word."""
        quoted = " ".join(f"'{word}'" for word in words)
        program = f"""
            source '{script}'
            COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}
            set -- "${{COMP_WORDS[0]}}" "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
            $(complete -p histscan | sed 's/.*-F \\([^ ]*\\).*/\\1/') "$@"
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        finished = subprocess.run(
            ["bash", "-c", program], capture_output=True, text=True, check=True, cwd=script.parent
        )
        return finished.stdout.split()

    @pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
    def test_bash(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        script = tmp_path / "completion.sh"
        script.write_text(self.script("bash", capsys))
        assert set(COMMANDS) <= set(self.completed(script, "histscan", ""))
        assert self.completed(script, "histscan", "com") == ["completion"]
        assert "--smooth" in self.completed(script, "histscan", "plot", "--s")
        assert set(self.completed(script, "histscan", "head", "--source", "pa")) == {"pages", "parquet"}
        (tmp_path / "run-abc.wandb").touch()
        assert "run-abc.wandb" in self.completed(script, "histscan", "head", "run")

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_scripts_are_valid(self, shell: str, capsys: pytest.CaptureFixture[str]) -> None:
        script = self.script(shell, capsys)
        assert all(name in script for name in COMMANDS)
        if shutil.which(shell) is None:
            pytest.skip(f"there is no {shell}")
        subprocess.run([shell, "-n"], input=script, text=True, check=True)

    def test_missing_package(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setitem(sys.modules, "shtab", None)
        assert main(["completion", "bash"]) == MISUSED
        told = capsys.readouterr().err
        assert told.startswith("histscan: error: `histscan completion` needs shtab: ")
        assert install_command("completion") in told or "extra 'completion'" in told

    def test_unknown_shell(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["completion", "tcsh"]) == MISUSED
        assert "tcsh" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "keys"),
    [
        (["head", LOG, "-k", "loss", "acc"], MISUSED, "-k loss -k acc"),
        (["head", "-k", "loss", "acc", LOG], FAILED, "-k loss -k acc"),
        (["plot", LOG, "--key", "loss", "a b", "c", "-o", "x.png"], MISUSED, "-k loss -k 'a b' -k c"),
        (["export", LOG, "-k", "x", "-k", "loss", "acc", "-o", "x.csv"], MISUSED, "-k loss -k acc"),
    ],
)
def test_forgotten_options(arguments: list[str], code: int, keys: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == code
    told = capsys.readouterr().err
    assert told.endswith(f"; -k takes one key; for more keys, repeat it: {keys}\n")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["head", "nope.wandb", "-k", "loss"],
        ["head", "-k", "loss", LOG, "--nope"],
        ["head", LOG, "nope.wandb", "-k", "loss"],
        ["head", "-k", "loss", LOG, "-n", "x"],
        ["head", "-k", "los", LOG],
    ],
)
def test_other_errors_have_no_hint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) != 0
    assert "repeat it" not in capsys.readouterr().err


def test_source_of_head(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving(EXAMPLE) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
        monkeypatch.setenv("HISTSCAN_CACHE_DIR", str(tmp_path))
        name = "/".join(histscan.open(EXAMPLE).path)
        printed = {}
        for source, expected in (("pages", set()), (None, set()), ("parquet", {"ExportedFiles"})):
            server.forget_traffic()
            assert main(["head", name, "-n", "3", "-k", "loss", *([] if source is None else ["--source", source])]) == 0
            printed[source] = capsys.readouterr().out
            assert {"ExportedFiles"} & set(server.traffic()["operations"]) == expected
        assert printed["parquet"] == printed["pages"] == printed[None]
        assert list(tmp_path.glob("*.parquet"))
        assert main(["head", LOG, "--source", "pages"]) == MISUSED
        assert "--source applies to runs on a server" in capsys.readouterr().err


def interrupted(arguments: list[str], program: str, folder: Path) -> int:
    """The exit code of a command that gets Ctrl-C while it reads."""
    started = folder / "started"
    code = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
{program}
def wait(*_arguments, **_options):
    open({str(started)!r}, "w").close()
    time.sleep(60)
patch(wait)
from histscan.cli.main import main
sys.exit(main({arguments!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not started.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert told == b"histscan: error: interrupted\n", told
    return process.returncode


OPENS = "import histscan.opening as m\ndef patch(wait): m.open_run = m.open_runs = wait\n"
BY_COMMAND = {
    "cache": ("import histscan.cli.cache as m\ndef patch(wait): m.cached_files = wait\n", []),
    "completion": ("import histscan.cli.completion as m\ndef patch(wait): m._actions = wait\n", ["bash"]),
    "export": (OPENS, [LOG, "-o", "out.csv"]),
    "head": (OPENS, [LOG]),
    "info": (OPENS, [LOG]),
    "keys": (OPENS, [LOG]),
    "mirror": (OPENS, [LOG, "-o", "mirror"]),
    "plot": (OPENS, [LOG, "-k", "loss", "-o", "x.png"]),
    "runs": (OPENS, [LOG]),
    "tail": (OPENS, [LOG]),
}


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"run", "serve"}))
def test_ctrl_c(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` ends as the script does, and `serve` is tested below."""
    program, arguments = BY_COMMAND[command]
    if command == "completion":
        pytest.importorskip("shtab")
    monkeypatch.chdir(tmp_path)
    assert interrupted([command, *arguments], program, tmp_path) == INTERRUPTED
    assert {path.name for path in tmp_path.iterdir()} <= {"started", "mirror"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, 0)])
def test_signals_to_serve(number: signal.Signals, code: int) -> None:
    with serving(EXAMPLE) as server:
        server.process.send_signal(number)
        assert server.process.wait(timeout=60) == code
        assert not any("error" in line for line in server.complaints)


def test_exit_codes_are_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "130 after Ctrl-C" in " ".join(capsys.readouterr().out.split())
