"""Files that a server stores for a run, such as ``output.log``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from histscan.errors import HistoryError, ResponseShapeError
from histscan.sources.exported_requests import FileRequests
from histscan.sources.run_queries import RUN_FILE, request_run

if TYPE_CHECKING:
    import requests

    from histscan.sources.client import Client

__all__ = ["fetch_run_file"]

_FOUND, _MISSING = 200, 404
# Larger files are written to disk.
_MOST_IN_MEMORY = 8 << 20


def fetch_run_file(client: Client, entity: str, project: str, run: str, name: str) -> IO[bytes] | None:
    """Downloads a file of a run. The API key is not sent, because the file's address is signed.

    Args:
        client: Requests the file's address from the server.
        entity: The run's entity.
        project: The run's project.
        run: The run's id.
        name: The file's name.

    Returns:
        A temporary file, open for reading at its beginning; None if the run has no such file. The caller must close
        it, which also deletes it.

    Raises:
        HistoryRequestError: There is no answer, or the file can't be downloaded.
        RunNotFoundError: The server has no such run.
    """
    answer = request_run(client, RUN_FILE, entity, project, run, file=name)
    url = _address(answer.get("files"), name)
    if url is None:
        return None
    try:
        file_requests = FileRequests(
            url,
            what=f"the run's file {name}",
            allow_http=client.base_url.startswith("http:"),
            timeout=client.timeout,
            max_file=client.max_file,
        )

        def keep(response: requests.Response) -> IO[bytes] | None:
            if response.status_code == _MISSING:
                return None
            file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_MOST_IN_MEMORY)  # noqa: SIM115 - the caller closes it
            try:
                for part in file_requests.read(response):
                    file.write(part)
                file.seek(0)
            except BaseException:
                with suppress(OSError):
                    file.close()
                raise
            return file

        return file_requests.get({}, (_FOUND, _MISSING), keep)
    except HistoryError as error:
        error.add_location(run=f"{entity}/{project}/{run}")
        raise


def _address(files: Any, name: str) -> str | None:
    """Finds a file's address in an answer; None if the answer has no such file, or an empty one."""
    try:
        nodes = [edge["node"] for edge in files["edges"]]
        for node in nodes:
            # A server may list a requested file although nothing was uploaded.
            if isinstance(node, Mapping) and node["name"] == name and int(node["sizeBytes"] or 0):
                return str(node["directUrl"] or node["url"])
    except (KeyError, TypeError, ValueError):
        raise ResponseShapeError("the server's answer is not a list of files") from None
    return None
