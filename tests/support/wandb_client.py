"""Ask the real wandb client, in a separate process that can only reach a server on loopback.

`ask_wandb` hands questions to a fresh interpreter, which runs this very file as a script, and returns the answers with
their types. Another interpreter answers with the release of wandb that it has installed.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, NoReturn

_SCRIPT = Path(__file__).resolve()
ANY_KEY = "0" * 40


@dataclass(frozen=True)
class Question:
    """Something to ask `wandb.Api()`.

    Attributes:
        name: An attribute or method of the run, perhaps dotted; of the Api itself if there is no run.
        run: The run's path.
        arguments: Keyword arguments to call the method with; None for an attribute.
        take: Attributes of each item of the answer, to return instead of the items.
        first: How many items to take of an iterable; None for all.
        then: A method of the answer, called to get the answer itself.
    """

    name: str
    run: str | None = None
    arguments: Mapping[str, Any] | None = None
    take: tuple[str, ...] = ()
    first: int | None = None
    then: str | None = None


@dataclass(frozen=True)
class Failure:
    """An exception that was raised instead of an answer.

    Attributes:
        kind: The name of its class.
        message: What it said.
    """

    kind: str
    message: str


def ask_wandb(
    url: str,
    questions: Sequence[Question],
    *,
    api_key: str = ANY_KEY,
    python: str | Path = sys.executable,
    timeout: float = 120.0,
) -> list[Any]:
    """Ask the real client, all questions one after the other in one process.

    Args:
        url: The server's address.
        questions: What to ask.
        api_key: The API key to send.
        python: Interpreter that asks; the running one by default.
        timeout: Seconds that it may take.

    Returns:
        An answer for each question: a value, a list of what was iterated over, or a `Failure`.

    Raises:
        RuntimeError: If the client dies; the message carries what it printed.
        subprocess.TimeoutExpired: If it takes longer than `timeout`.
    """
    with tempfile.TemporaryDirectory(prefix="histscan-client-") as workspace:
        parcel = Path(workspace) / "parcel.pickle"
        parcel.write_bytes(pickle.dumps([asdict(question) for question in questions]))
        finished = subprocess.run(
            [str(python), str(_SCRIPT), str(parcel)],
            cwd=workspace,
            env=client_environment(url, Path(workspace), api_key),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if finished.returncode != 0:
            raise RuntimeError(f"the client failed:\n{finished.stdout}{finished.stderr}")
        answers = pickle.loads(parcel.read_bytes())
    return [Failure(*value) if is_failure else value for is_failure, value in answers]


def client_environment(url: str, workspace: Path, api_key: str = ANY_KEY) -> dict[str, str]:
    """Return an environment in which wandb knows the server, and no setting, key, cache or home of the user.

    Args:
        url: The server's address.
        workspace: Folder for what wandb writes.
        api_key: The API key to send.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "PYTHON"))}
    for name in ("HOME", "WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        environment[name] = str(workspace)
    environment["WANDB_BASE_URL"] = url
    environment["WANDB_API_KEY"] = api_key
    environment["WANDB_SILENT"] = "true"
    environment["WANDB_ERROR_REPORTING"] = "false"
    environment["NO_PROXY"] = "127.0.0.1,localhost"
    return environment


def leave(code: int = 0) -> NoReturn:
    """End the process without running wandb's exit handlers.

    wandb waits at exit for its wandb-core. Where the pipe between them breaks before the word to end is through, as
    happens now and then, both would stay for ten minutes. A wandb-core whose client is gone ends by itself.

    Args:
        code: The exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _answer(api: Any, question: dict[str, Any]) -> Any:
    """Ask one question; what is returned can be pickled without wandb."""
    asked = api if question["run"] is None else api.run(question["run"])
    found = attrgetter(question["name"])(asked)
    if question["arguments"] is not None:
        found = found(**question["arguments"])
    if question["then"] is not None:
        found = getattr(found, question["then"])()
    take = question["take"]
    if isinstance(found, str | int | float | type(None)):
        return found
    if _is_mapping(found):
        return plain(found)
    items = islice(found, question["first"])
    return [tuple(getattr(item, name) for name in take) if take else item for item in items]


def plain(value: Any) -> Any:
    """Convert wandb's own mappings, of which a summary consists, to dicts."""
    return {key: plain(value[key]) for key in value.keys()} if _is_mapping(value) else value  # noqa: SIM118


def _is_mapping(value: Any) -> bool:
    # A scan also has `keys`, but as a list.
    return callable(getattr(value, "keys", None))


def _ask(parcel: Path) -> None:
    """Answer the questions in `parcel`, and write the answers there."""
    import wandb

    api = None
    answers: list[tuple[bool, Any]] = []
    for question in pickle.loads(parcel.read_bytes()):
        try:
            # Without a valid key, the first call fails, which is an answer too.
            api = wandb.Api() if api is None else api
            answers.append((False, _answer(api, question)))
        except Exception as error:
            answers.append((True, (type(error).__name__, str(error))))
    parcel.write_bytes(pickle.dumps(answers))


if __name__ == "__main__":
    _ask(Path(sys.argv[1]))
    leave()
