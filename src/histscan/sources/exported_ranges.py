"""Reads a few columns of an exported file without downloading it all: fetches only their bytes, by HTTP ranges.

The first request is for the end of the file, where Parquet has its footer. Its answer gives the size and the version,
and shows whether the server supports ranges. The footer gives the position of each column in each row group. When a
row group is read, wanted columns that lie close together are fetched in one request, and are freed with the row group.
"""

from __future__ import annotations

import io
import re
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from histscan.common.steps import STEP
from histscan.errors import HistoryError
from histscan.sources.exported_files import RemoteVersion
from histscan.sources.exported_requests import CutShortError, FileRequests
from histscan.sources.file_cache import check_cache
from histscan.sources.parquet import ParquetSource
from histscan.sources.parquet_sizes import check_part

if TYPE_CHECKING:
    import requests

__all__ = ["open_by_ranges"]

_PARTIAL = 206
_OK = 200
_UNSATISFIABLE = 416

# As much as pyarrow reads first, and more than most footers have.
_TAIL = 64 << 10
# Smaller files download as fast as a part of them, and later scans find them in the cache.
_SMALLEST_SIZE = 4 << 20
# If more than this share of a file is wanted, the whole file is downloaded and cached.
_LARGEST_SHARE = 0.5
# Gaps between wanted columns up to this size are fetched too: that takes less time than another request.
_LARGEST_GAP = 256 << 10
_MAGIC = b"PAR1"
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


def open_by_ranges(file_requests: FileRequests, folder: Path, *, keys: Sequence[str]) -> ParquetSource | None:
    """Opens an exported file to read some columns of it, if that is less work than downloading it.

    Args:
        file_requests: Requests parts of the file.
        folder: The cache. If it has this version of the file, the file is read from there; nothing is written to it.
        keys: The wanted keys. Steps are read along with them.

    Returns:
        The file; None if it should be downloaded: because it is small, most of it is wanted, or its server does not
        support ranges or does not tell versions apart.

    Raises:
        HistoryDecodeError: It is not a Parquet file.
        HistoryError: Others can write to the cache.
        HistoryRequestError: The end of the file can't be fetched.
        ImportError: pyarrow is not installed.
    """
    check_cache(folder)
    tail = _fetch_tail(file_requests)
    if tail is None:
        return None
    found = tail.version.find_in(folder)
    if found is not None:
        return ParquetSource.of_file(found, is_own=True)
    if tail.size < _SMALLEST_SIZE or not tail.version.tag:
        return None
    remote = _RemoteFile(file_requests, tail)
    source = ParquetSource(f"the exported history on {file_requests.host}", remote.open, tail.size)
    columns = {path for key in (STEP, *keys) if (path := source.column_of(key)) is not None}
    for places in source.byte_ranges(columns):
        # Parts of different row groups are not joined, even close ones: not all row groups may be read.
        remote.places += _join(places, tail.size)
    remote.places.sort()
    if sum(stop - begin for begin, stop in remote.places) > _LARGEST_SHARE * tail.size:
        return None
    return source


class _Tail(NamedTuple):
    """The end of a file.

    Attributes:
        version: The file's version.
        size: The file's size in bytes.
        data: The bytes.
    """

    version: RemoteVersion
    size: int
    data: bytes


def _fetch_tail(file_requests: FileRequests) -> _Tail | None:
    """Fetches the end of a file. Returns None if the server does not support ranges."""

    def take(response: requests.Response) -> _Tail | None:
        if response.status_code != _PARTIAL:
            # The body is not read: closing the answer closes its connection.
            return None
        begin, stop, size = _range_of(response)
        file_requests.check_size(size)
        if stop != size or begin != max(0, size - _TAIL):
            raise CutShortError
        data = _read(file_requests.read(response), stop - begin)
        return _Tail(RemoteVersion(file_requests.parts, response.headers, size), size, data)

    return file_requests.get({"Range": f"bytes=-{_TAIL}"}, (_OK, _PARTIAL, _UNSATISFIABLE), take)


class _RemoteFile:
    """A file on a server, of which parts are read.

    Args:
        file_requests: Requests the parts.
        tail: The end of the file.

    Attributes:
        places: First byte and end of each wanted part, in order. Each part is fetched in one request.
    """

    def __init__(self, file_requests: FileRequests, tail: _Tail) -> None:
        self._requests = file_requests
        self.size = tail.size
        self.tail_begin = tail.size - len(tail.data)
        self.tail = tail.data
        self.places: list[tuple[int, int]] = []
        self._tag = tail.version.tag
        self._read_footer()

    def open(self) -> io.RawIOBase:
        """Opens the file. Only its end has been fetched."""
        return _RangedFile(self)

    def _read_footer(self) -> None:
        """Fetches the rest of a footer that is longer than the tail."""
        if len(self.tail) < 8 or self.tail[-4:] != _MAGIC:
            return
        length = int.from_bytes(self.tail[-8:-4], "little") + 8
        # pyarrow reports an invalid footer.
        if len(self.tail) < length <= self.size:
            self.tail = self.fetch(self.size - length, self.size)
            self.tail_begin = self.size - length

    def place_around(self, begin: int, stop: int) -> tuple[int, int]:
        """Returns the range to fetch for some bytes: the wanted part that contains them, else only these bytes."""
        index = bisect_right(self.places, begin, key=lambda place: place[0]) - 1
        if index >= 0 and stop <= self.places[index][1]:
            return self.places[index]
        return begin, stop

    def fetch(self, begin: int, stop: int) -> bytes:
        """Fetches bytes.

        Args:
            begin: The first byte.
            stop: The end, exclusive.

        Raises:
            HistoryError: The file has changed, or the bytes are more than may be held in memory.
            HistoryRequestError: They can't be fetched.
        """
        check_part(f"the exported history on {self._requests.host}", stop - begin)

        def take(response: requests.Response) -> bytes | None:
            # Not all servers support If-Range, but all send the version.
            version = RemoteVersion(self._requests.parts, response.headers, self.size)
            if response.status_code != _PARTIAL or version.tag != self._tag:
                return None
            found = _range_of(response)
            if found[2] != self.size:
                return None
            if found[:2] != (begin, stop):
                raise CutShortError
            return _read(self._requests.read(response), stop - begin)

        headers = {"Range": f"bytes={begin}-{stop - 1}"}
        data = self._requests.get(headers, (_OK, _PARTIAL, _UNSATISFIABLE), take)
        if data is None:
            raise HistoryError(
                f"the exported history on {self._requests.host} changed while it was being read: scan it again"
            )
        return data


class _RangedFile(io.RawIOBase):
    """A remote file for pyarrow, which reads it from several threads. Fetched parts are cached until it is closed.

    Args:
        remote: The file.
    """

    def __init__(self, remote: _RemoteFile) -> None:
        self._remote = remote
        self._position = 0
        self._cached: list[tuple[int, bytes]] = [(remote.tail_begin, remote.tail)]
        # Guards `_cached`, and is held during a fetch, so that no two threads fetch the same part.
        self._lock = threading.Lock()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._remote.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        begin = self._position
        end = self._remote.size if size is None or size < 0 else min(begin + size, self._remote.size)
        data = self._bytes(begin, end) if begin < end else b""
        self._position += len(data)
        return data

    def close(self) -> None:
        self._cached = []
        super().close()

    def _bytes(self, begin: int, stop: int) -> bytes:
        with self._lock:
            for first, part in self._cached:
                if first <= begin and stop <= first + len(part):
                    return part[begin - first : stop - first]
            first, end = self._remote.place_around(begin, stop)
            data = self._remote.fetch(first, end)
            if (first, end) == (begin, stop):
                return data
            self._cached.append((first, data))
            return data[begin - first : stop - first]


def _range_of(response: requests.Response) -> tuple[int, int, int]:
    """Returns first byte and end of an answer's range, and the size of the file."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None:
        raise CutShortError
    first, last, size = map(int, found.groups())
    if not first <= last < size:
        raise CutShortError
    return first, last + 1, size


def _read(parts: Iterator[bytes], length: int) -> bytes:
    """Reads the body of an answer, which must have this length."""
    data = bytearray()
    for part in parts:
        data += part
        if len(data) > length:
            break
    if len(data) != length:
        raise CutShortError
    return bytes(data)


def _join(places: list[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Joins parts of a file that lie close together. Skips invalid ones: reading them reports the error."""
    joined: list[tuple[int, int]] = []
    for begin, stop in sorted(place for place in places if 0 <= place[0] < place[1] <= size):
        if joined and begin - joined[-1][1] <= _LARGEST_GAP:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((begin, stop))
    return joined
