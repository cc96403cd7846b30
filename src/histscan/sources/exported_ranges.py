"""Exported files of which few columns are wanted: only the bytes of these are fetched, by HTTP ranges.

The first request is for the file's end, where Parquet has its footer. It tells the size and the version, and whether
the server gives ranges at all. The footer tells where each column of each row group lies; what is wanted of a row
group, and lies close together, is fetched at once when the row group is read, and forgotten with it.
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
from histscan.sources.exported_files import FileVersion
from histscan.sources.exported_requests import CutShortError, FileRequests
from histscan.sources.parquet import ParquetSource

if TYPE_CHECKING:
    import requests

__all__ = ["open_by_ranges"]

_PARTIAL = 206
_OK = 200
_UNSATISFIABLE = 416

# As much as pyarrow looks at first, and more than most footers have.
_TAIL = 64 << 10
# Smaller files are had as fast as a part of them, and are of use to later scans when they are in the cache.
_SMALLEST_SIZE = 4 << 20
# The whole file is fetched, and kept, where more than this share of it is wanted.
_LARGEST_SHARE = 0.5
# What lies between wanted columns is fetched too, up to this: it takes less time than another request.
_LARGEST_GAP = 256 << 10
_MAGIC = b"PAR1"
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


def open_by_ranges(file_requests: FileRequests, folder: Path, *, keys: Sequence[str]) -> ParquetSource | None:
    """Opens an exported file to read some columns of it, if that is less work than to download it.

    Args:
        file_requests: Asks for parts of the file.
        folder: The cache, which the file is read from if this version of it is there. Nothing is written to it.
        keys: The keys that are wanted. Steps are read along with them.

    Returns:
        The file; None if it is to be downloaded: because it is small, or most of it is wanted, or its server gives no
        ranges, or does not tell versions apart.

    Raises:
        HistoryDecodeError: It is no Parquet file.
        HistoryRequestError: The end of the file can't be had.
        ImportError: pyarrow is not installed.
    """
    tail = _fetch_tail(file_requests)
    if tail is None:
        return None
    found = tail.version.find_in(folder)
    if found is not None:
        return ParquetSource.of_file(found)
    if tail.size < _SMALLEST_SIZE or not tail.version.tag:
        return None
    remote = _RemoteFile(file_requests, tail)
    source = ParquetSource(f"the exported history on {file_requests.host}", remote.open, tail.size)
    columns = {path for key in (STEP, *keys) if (path := source.column_of(key)) is not None}
    for places in source.byte_ranges(columns):
        # What of several row groups lies close together is still fetched group by group: not all may be asked for.
        remote.places += _join(places, tail.size)
    remote.places.sort()
    if sum(stop - begin for begin, stop in remote.places) > _LARGEST_SHARE * tail.size:
        return None
    return source


class _Tail(NamedTuple):
    """The end of a file.

    Attributes:
        version: Which version it is of.
        size: The file's size.
        data: The bytes.
    """

    version: FileVersion
    size: int
    data: bytes


def _fetch_tail(file_requests: FileRequests) -> _Tail | None:
    """Fetches the end of a file; None from a server that gives no ranges."""

    def take(response: requests.Response) -> _Tail | None:
        if response.status_code != _PARTIAL:
            # Not read any further: with the answer, its connection is closed.
            return None
        begin, stop, size = _range_of(response)
        if stop != size or begin != max(0, size - _TAIL):
            raise CutShortError
        data = _read(file_requests.read(response), stop - begin)
        return _Tail(FileVersion(file_requests.parts, response.headers, size), size, data)

    return file_requests.get({"Range": f"bytes=-{_TAIL}"}, (_OK, _PARTIAL, _UNSATISFIABLE), take)


class _RemoteFile:
    """A file on a server, of which parts are read.

    Args:
        file_requests: Asks for them.
        tail: The end of it.

    Attributes:
        places: Where what is wanted lies: first byte and end of each part, in order. These are fetched whole.
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
        """Opens it, with nothing fetched but the end."""
        return _RangedFile(self)

    def _read_footer(self) -> None:
        """Fetches what the footer has before the bytes that are here."""
        if len(self.tail) < 8 or self.tail[-4:] != _MAGIC:
            return
        length = int.from_bytes(self.tail[-8:-4], "little") + 8
        # What is no footer is for pyarrow to say.
        if len(self.tail) < length <= self.size:
            self.tail = self.fetch(self.size - length, self.size)
            self.tail_begin = self.size - length

    def place_around(self, begin: int, stop: int) -> tuple[int, int]:
        """Returns what to fetch for some bytes: the part that has all of them, or just these."""
        index = bisect_right(self.places, begin, key=lambda place: place[0]) - 1
        if index >= 0 and stop <= self.places[index][1]:
            return self.places[index]
        return begin, stop

    def fetch(self, begin: int, stop: int) -> bytes:
        """Fetches bytes.

        Args:
            begin: The first.
            stop: The end, exclusive.

        Raises:
            HistoryError: The file has changed.
            HistoryRequestError: They can't be had.
        """

        def take(response: requests.Response) -> bytes | None:
            # Not all servers know conditions on ranges, but all tell the version.
            version = FileVersion(self._requests.parts, response.headers, self.size)
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
                f"the exported history on {self._requests.host} has changed while it was read: scan it again"
            )
        return data


class _RangedFile(io.RawIOBase):
    """A remote file as pyarrow reads it, from several threads; what was fetched is kept until it is closed.

    Args:
        remote: The file.
    """

    def __init__(self, remote: _RemoteFile) -> None:
        self._remote = remote
        self._position = 0
        self._kept: list[tuple[int, bytes]] = [(remote.tail_begin, remote.tail)]
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
        self._kept = []
        super().close()

    def _bytes(self, begin: int, stop: int) -> bytes:
        with self._lock:
            for first, kept in self._kept:
                if first <= begin and stop <= first + len(kept):
                    return kept[begin - first : stop - first]
            first, end = self._remote.place_around(begin, stop)
            data = self._remote.fetch(first, end)
            if (first, end) == (begin, stop):
                return data
            self._kept.append((first, data))
            return data[begin - first : stop - first]


def _range_of(response: requests.Response) -> tuple[int, int, int]:
    """First byte and end of what an answer has, and the size of the file."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None:
        raise CutShortError
    first, last, size = map(int, found.groups())
    if not first <= last < size:
        raise CutShortError
    return first, last + 1, size


def _read(parts: Iterator[bytes], length: int) -> bytes:
    """Reads the body of an answer, which has to be of this length."""
    data = bytearray()
    for part in parts:
        data += part
        if len(data) > length:
            break
    if len(data) != length:
        raise CutShortError
    return bytes(data)


def _join(places: list[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Joins parts of a file that lie close together; of those that are none, reading will tell."""
    joined: list[tuple[int, int]] = []
    for begin, stop in sorted(place for place in places if 0 <= place[0] < place[1] <= size):
        if joined and begin - joined[-1][1] <= _LARGEST_GAP:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((begin, stop))
    return joined
