"""Answers that are files, or ranges of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from pathlib import Path

from histscan.server.asgi import Response
from histscan.server.served_run import FileVersion

__all__ = ["file_response"]

PART_SIZE = 1 << 20

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def file_response(path: Path, headers: Mapping[str, str]) -> Response:
    """Answers with a file, or the range of it that is asked for.

    Args:
        path: The file.
        headers: The request's headers: ``Range``, ``If-Range`` and ``If-None-Match`` are obeyed. Of several ranges
            in one request, as of anything else that is no range, the whole file comes.

    Returns:
        The answer: 200, 206, 304 or 416.

    Raises:
        OSError: The file can't be read.
    """
    version = FileVersion.of(path)
    tag = f'"{version.inode:x}-{version.size:x}-{version.modified:x}"'
    described = {
        "Content-Type": "application/vnd.apache.parquet",
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Last-Modified": formatdate(version.modified / 1e9, usegmt=True),
    }
    if headers.get("if-none-match") in (tag, "*"):
        return Response(304, headers=described)
    first, stop, status = 0, version.size, 200
    wanted = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if wanted is not None and any(wanted.groups()) and headers.get("if-range", tag) == tag:
        begin, end = wanted.groups()
        if begin:
            first, stop = int(begin), min(int(end) + 1, version.size) if end else version.size
        else:
            first = max(version.size - int(end), 0)
        if first >= stop:
            return Response(416, headers=described | {"Content-Range": f"bytes */{version.size}"})
        status = 206
        described["Content-Range"] = f"bytes {first}-{stop - 1}/{version.size}"
    return Response(status, _parts(path, first, stop), stop - first, described)


def _parts(path: Path, first: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        while first < stop:
            part = file.read(min(PART_SIZE, stop - first))
            if not part:
                raise OSError(f"{path} was cut short while it was sent")
            first += len(part)
            yield part
