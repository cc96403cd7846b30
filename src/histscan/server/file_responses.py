"""Responses with the content of a file, or a range of it.

Starlette's `FileResponse` is not used: it answers 400 to an invalid range, which RFC 9110 says to ignore, and it opens,
seeks, reads and closes in four thread-pool calls, which made small ranges three times slower.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from email.utils import formatdate
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from histscan.server.served_run import FileVersion

__all__ = ["file_response"]

PART_SIZE = 1 << 20

# Numbers with more digits are no valid file offsets.
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def file_response(file: BinaryIO, request: Request, headers: Mapping[str, str]) -> Response:
    """Makes a response with a file, or with the requested range of it.

    Args:
        file: The file, which is closed afterwards.
        request: The request; ``Range``, ``If-Range`` and ``If-None-Match`` are honoured. Several ranges in one request,
            and invalid ranges, get the whole file.
        headers: More headers; they must include the file's ``Content-Type``.

    Returns:
        The response: 200, 206, 304 or 416.

    Raises:
        OSError: The file can't be read.
    """
    with ExitStack() as closing:
        closing.enter_context(file)
        response = _respond(file, request, headers)
        if isinstance(response, StreamingResponse):
            # Its content closes the file.
            closing.pop_all()
        return response


def _respond(file: BinaryIO, request: Request, headers: Mapping[str, str]) -> Response:
    version = FileVersion.of_open(file)
    tag = f'"{version.inodes[0]:x}-{version.size:x}-{version.modified:x}"'
    described = {
        **headers,
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Last-Modified": formatdate(version.modified / 1e9, usegmt=True),
    }
    if request.headers.get("if-none-match") in (tag, "*"):
        return Response(None, 304, described)
    first, stop, status = 0, version.size, 200
    wanted = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if wanted is not None and any(wanted.groups()) and request.headers.get("if-range", tag) == tag:
        begin, end = wanted.groups()
        if begin:
            first, stop = int(begin), min(int(end) + 1, version.size) if end else version.size
        else:
            first = max(version.size - int(end), 0)
        if first >= stop:
            return Response(None, 416, described | {"Content-Range": f"bytes */{version.size}"})
        status = 206
        described["Content-Range"] = f"bytes {first}-{stop - 1}/{version.size}"
    described["Content-Length"] = str(stop - first)
    if request.method == "HEAD":
        return Response(None, status, described)
    if stop - first <= PART_SIZE:
        # Starlette starts two tasks for a streaming response, which costs more than a small range.
        return Response(_read(file, first, stop), status, described)
    return StreamingResponse(_parts(file, first, stop), status, described)


async def _parts(file: BinaryIO, first: int, stop: int) -> AsyncIterator[bytes]:
    with file:
        for begin in range(first, stop, PART_SIZE):
            yield _read(file, begin, min(begin + PART_SIZE, stop))


def _read(file: BinaryIO, first: int, stop: int) -> bytes:
    parts = []
    while first < stop:
        part = os.pread(file.fileno(), stop - first, first)
        if not part:
            raise OSError("the file was truncated while it was read")
        parts.append(part)
        first += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
