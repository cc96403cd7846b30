"""From the bytes of a `.wandb` log to its records.

The layout is LevelDB's log format (github.com/google/leveldb/blob/main/doc/log_format.md): blocks of 32 KiB, in them
chunks of checksum, length and type, and a record is one FULL chunk or a FIRST, any number of MIDDLE and a LAST one.
wandb's own are the 7-byte header, which counts as part of the first block, and the checksum, a plain CRC-32.
(wandb-core before 0.17.6 counted blocks from the end of the header; the checksums show which.)
"""

from cpython.buffer cimport PyBUF_READ
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromObject, PyMemoryView_GET_BUFFER, PyMemoryView_GetContiguous
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.bytes.cursor cimport (
    LOG_CHECKSUM_WRONG, LOG_CHUNK_ORDER_WRONG, LOG_CHUNK_TOO_LONG, LOG_CHUNK_TYPE_UNKNOWN, LOG_RECORD_INVALID,
    LOG_ZEROS, Cursor, Fault, byte_ptr, has_text, open_cursor,
)
from histscan._core.pages.log_page cimport (
    CONFIG_RECORD, EXIT_RECORD, HISTORY_RECORD, RUN_RECORD, SUMMARY_RECORD, LogPage, OtherRecord,
)
from histscan._core.pages.page cimport RowSpan, add_span
from histscan._core.rows.row_steps cimport (
    STEP_ITEM_MISSING, STEP_ITEM_OTHER, STEP_ITEM_WHOLE, UNKNOWN_STEP, RowStep, read_row_step,
)
from histscan._core.wire.wire cimport WIRE_BYTES, read_length, read_tag, skip_field

from histscan.errors import LogFormatError

cdef extern from "bytes/crc32.hpp" namespace "histscan" nogil:
    uint32_t chunk_crc32(uint8_t type, const uint8_t* data, size_t length)

cdef enum:
    BLOCK_LENGTH = 32768
    FILE_HEADER_LENGTH = 7      # `:W&B`, u16 magic 0xBEE1, u8 version
    FILE_MAGIC_LENGTH = 6
    CHUNK_HEADER_LENGTH = 7     # u32 checksum, u16 length, u8 type, little-endian

cdef enum ChunkType:
    CHUNK_PADDING = 0
    CHUNK_FULL = 1
    CHUNK_FIRST = 2
    CHUNK_MIDDLE = 3
    CHUNK_LAST = 4

BLOCK_SIZE = BLOCK_LENGTH
FILE_HEADER = b":W&B\xe1\xbe\x00"

_DEFAULT_FIELDS = (HISTORY_RECORD, SUMMARY_RECORD, CONFIG_RECORD, RUN_RECORD, EXIT_RECORD)


cdef bint is_zero(const unsigned char* pos, const unsigned char* end) noexcept nogil:
    """Returns True if all bytes are zero."""
    while pos < end:
        if pos[0]:
            return False
        pos += 1
    return True


def checksum(int chunk_type, bytes data not None):
    """Compute a chunk's checksum.

    Args:
        chunk_type: The chunk's type, 0 to 255.
        data: The chunk's data.

    Returns:
        CRC-32 (IEEE 802.3) over the type byte and the data.
    """
    return chunk_crc32(<uint8_t> chunk_type, <const uint8_t*> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef bint is_chunk(const unsigned char* data, Py_ssize_t length, Py_ssize_t pos) noexcept nogil:
    """Returns True if a whole chunk begins at `pos`, and its checksum is right."""
    cdef const unsigned char* header = data + pos
    cdef Py_ssize_t data_length
    if length - pos < CHUNK_HEADER_LENGTH:
        return False
    data_length = header[4] | header[5] << 8
    if not CHUNK_FULL <= header[6] <= CHUNK_LAST or data_length > length - pos - CHUNK_HEADER_LENGTH:
        return False
    return read_checksum(header) == chunk_crc32(header[6], header + CHUNK_HEADER_LENGTH, data_length)


cdef Py_ssize_t find_block_shift(const unsigned char* data, Py_ssize_t length) noexcept nogil:
    """The file offset that blocks are counted from, by the first bytes of a log: 0 or 7.

    A block begins with a chunk, so that the checksum of what is at a border decides. In a log of one block a
    chunk may only end between the two borders.
    """
    cdef Py_ssize_t pos = FILE_HEADER_LENGTH
    cdef Py_ssize_t border = BLOCK_LENGTH
    while pos <= BLOCK_LENGTH - CHUNK_HEADER_LENGTH and length - pos >= CHUNK_HEADER_LENGTH:
        if data[pos + 6] == CHUNK_PADDING:
            break
        if BLOCK_LENGTH < pos + CHUNK_HEADER_LENGTH + (data[pos + 4] | data[pos + 5] << 8):
            if is_chunk(data, length, pos):
                return FILE_HEADER_LENGTH
            break
        pos += CHUNK_HEADER_LENGTH + (data[pos + 4] | data[pos + 5] << 8)
    while border < length:
        if is_chunk(data, length, border):
            return 0
        if is_chunk(data, length, border + FILE_HEADER_LENGTH):
            return FILE_HEADER_LENGTH
        border += BLOCK_LENGTH
    return 0


cdef inline uint32_t read_checksum(const unsigned char* header) noexcept nogil:
    """The checksum in a chunk's header, of which the caller has checked the length."""
    return header[0] | header[1] << 8 | header[2] << 16 | <uint32_t> header[3] << 24


cdef int check_header(const unsigned char* data, Py_ssize_t length) except -1:
    """Raises unless the file begins with the header of a wandb log that this version can read."""
    cdef Cursor cursor
    open_cursor(&cursor, data, length)
    if length == 0:
        raise LogFormatError("the file is empty: nothing was logged to it yet", byte=0)
    if length < FILE_HEADER_LENGTH or not has_text(
        &cursor, <byte_ptr> <const char*> b":W&B\xe1\xbe", FILE_MAGIC_LENGTH
    ):
        raise LogFormatError("this is not a wandb log: it does not begin with wandb's 7-byte header", byte=0)
    if data[FILE_MAGIC_LENGTH] != 0:
        raise LogFormatError(
            f"log format version {data[FILE_MAGIC_LENGTH]} is newer than this histscan reads (version 0): "
            "upgrade histscan", byte=FILE_MAGIC_LENGTH
        )
    return 0


cdef class LogReader:
    """Reads a log window by window.

    Args:
        skip_corrupt: Skip corrupt chunks and continue at the next block, instead of ending there with an error.
        fields: The kinds of records to keep, as their field numbers in ``Record``, 1 to 63; the others are skipped.
            None for history, summary, config, run and exit.
        last_step: Step of the row before the log's first one, where the log continues another; -1 if it does not.

    Attributes:
        offset: File offset of the next window, in bytes.
        is_finished: Nothing more can be read.
        last_step: Step of the latest row.
        is_ascending: No row so far has a lower step than the one before.
        odd_steps: How many rows have a ``_step`` that is not a whole number.
        block_shift: File offset of the first block, known once two blocks were read: 0; or 7 in logs of wandb-core
            before 0.17.6.
    """

    def __cinit__(self, bint skip_corrupt=False, *, fields=None, int64_t last_step=-1):
        self.skip_corrupt = skip_corrupt
        for field in _DEFAULT_FIELDS if fields is None else fields:
            if not 0 < field < 64:
                raise ValueError(f"the field number of a record must be from 1 to 63, not {field}")
            self.kept |= <uint64_t> 1 << <int> field
        self.last_step = last_step
        self.is_ascending = True
        self.truncated = -1
        self.zeros_offset = -1
        self.odd_step_offset = -1
        self.held = b""

    @property
    def truncated_at(self):
        """The file offset of the record within which the file ends; None if it ends after a whole one."""
        return None if self.truncated < 0 else self.truncated

    @property
    def corrupt_at(self):
        """The file offsets of the corrupt chunks that were skipped."""
        return list(self.corrupt)

    @property
    def odd_step_at(self):
        """The file offset of the first row whose ``_step`` is not a whole number; None if there is none."""
        return None if self.odd_step_offset < 0 else self.odd_step_offset

    def read_window(self, window not None, bint is_last):
        """Read the next window of the file.

        Args:
            window: The file's bytes from ``offset`` on, as bytes or another read-only buffer: whole blocks, unless it
                is the last window. The page refers to them, so they must not change.
            is_last: The file ends with the window.

        Returns:
            A page with the records that end within the window.

        Raises:
            LogFormatError: The file does not begin as a wandb log does.
            RuntimeError: An error has ended the reading of an earlier window, such as a lack of memory.
            TypeError: The window is not a read-only buffer.
            ValueError: A window other than the last is not whole blocks, or everything was read.
        """
        cdef CriticalSection section
        section.enter(self)
        cdef LogPage page = LogPage.__new__(LogPage)
        cdef object view = PyMemoryView_GetContiguous(window, PyBUF_READ, c"C")
        cdef Py_ssize_t length = PyMemoryView_GET_BUFFER(view).len
        cdef const unsigned char* data
        cdef Py_ssize_t pos = 0
        cdef Py_ssize_t block_end
        if not PyMemoryView_GET_BUFFER(view).readonly:
            raise TypeError("a window must be bytes, or a view that is read-only")
        if self.is_finished:
            raise ValueError("the log has already been read to its end")
        if not is_last and length % BLOCK_LENGTH:
            raise ValueError("every window except the last must be whole blocks of 32 KiB")
        if self.is_broken:
            raise RuntimeError("an error ended the reading of this log before: read it with a new reader")
        self.is_broken = True
        self.window_offset = self.offset - PyBytes_GET_SIZE(self.held)
        self.offset += length
        if self.held:
            view = PyMemoryView_FromObject(self.held + view)
            length = PyMemoryView_GET_BUFFER(view).len
            self.held = b""
        data = <const unsigned char*> PyMemoryView_GET_BUFFER(view).buf
        if self.window_offset == 0:
            self.is_finished = True
            check_header(data, length)
            self.is_finished = False
            if not is_last and length < 2 * BLOCK_LENGTH:
                # Where blocks begin is known only at the second one.
                self.held = bytes(view)
                length = 0
            else:
                self.block_shift = find_block_shift(data, length)
                pos = FILE_HEADER_LENGTH
        if self.block_shift and not is_last:
            length -= (self.offset - self.block_shift) % BLOCK_LENGTH
            self.held = bytes(view[length:])
        page.owner = view
        page.data = data
        page.window_length = length
        with nogil:
            while pos < length:
                block_end = pos + BLOCK_LENGTH - (self.window_offset + pos - self.block_shift) % BLOCK_LENGTH
                pos = self.read_block(page, pos, block_end)
                if pos < 0:
                    self.is_finished = True
                    break
        if is_last and not self.is_finished:
            self.is_finished = True
            if self.in_record and self.truncated < 0:
                self.truncated = self.record_offset
        self.is_broken = False
        return page

    def skip_to(self, int64_t offset):
        """Go on at a later block. Records that begin before it are left out, also those that end behind it.

        Args:
            offset: File offset of the block, as blocks are counted in this log; see ``block_shift``.

        Raises:
            ValueError: No block begins there, it was read already, or it is not known yet where blocks begin.
        """
        cdef CriticalSection section
        section.enter(self)
        if self.offset == 0 or self.is_finished or offset < self.offset or (offset - self.block_shift) % BLOCK_LENGTH:
            raise ValueError(f"no block that was not read yet is known to begin at byte {offset}")
        self.held = b""
        self.in_record = False
        self.partial.clear()
        self.zeros_offset = -1
        self.resyncing = True
        self.offset = offset

    cdef Py_ssize_t stop_at(self, LogPage page, Fault fault, Py_ssize_t pos, Py_ssize_t block_end) except -2 nogil:
        """Records corruption at `pos`. Returns -1 to stop there, or `block_end` to continue after the block."""
        self.in_record = False
        self.partial.clear()
        if self.skip_corrupt:
            self.corrupt.push_back(self.window_offset + pos)
            self.resyncing = True
            return block_end
        page.fault = fault
        page.fault_offset = self.window_offset + pos
        return -1

    cdef Py_ssize_t read_block(self, LogPage page, Py_ssize_t pos, Py_ssize_t block_end) except -2 nogil:
        """Reads the chunks from `pos` to the block's end.

        Returns where the next block begins, or -1 when the log ends here.
        """
        cdef Py_ssize_t window_end = page.window_length
        cdef const unsigned char* header
        cdef Py_ssize_t data, data_end
        cdef Py_ssize_t lost
        cdef uint32_t crc
        cdef int chunk_type
        while block_end - pos >= CHUNK_HEADER_LENGTH:
            if pos == window_end:
                return block_end
            if window_end - pos < CHUNK_HEADER_LENGTH:
                self.truncated = self.record_offset if self.in_record else self.window_offset + pos
                return -1
            header = page.data + pos
            crc = read_checksum(header)
            data = pos + CHUNK_HEADER_LENGTH
            data_end = data + (header[4] | header[5] << 8)
            chunk_type = header[6]
            if chunk_type == CHUNK_PADDING and crc == 0 and data == data_end:
                if not is_zero(header, page.data + min(block_end, window_end)):
                    return self.stop_at(page, LOG_CHUNK_TYPE_UNKNOWN, pos, block_end)
                # A file system may leave zeros after the last write, but wandb writes none within a log.
                if self.zeros_offset < 0:
                    self.zeros_offset = self.window_offset + pos
                return block_end
            if self.zeros_offset >= 0:
                lost = self.zeros_offset - self.window_offset
                self.zeros_offset = -1
                if self.stop_at(page, LOG_ZEROS, lost, block_end) < 0:
                    return -1
            if data_end > block_end:
                return self.stop_at(page, LOG_CHUNK_TOO_LONG, pos, block_end)
            if data_end > window_end:
                self.truncated = self.record_offset if self.in_record else self.window_offset + pos
                return -1
            if crc != chunk_crc32(chunk_type, page.data + data, data_end - data):
                return self.stop_at(page, LOG_CHECKSUM_WRONG, pos, block_end)
            if chunk_type < CHUNK_FULL or chunk_type > CHUNK_LAST:
                return self.stop_at(page, LOG_CHUNK_TYPE_UNKNOWN, pos, block_end)
            if (chunk_type == CHUNK_FULL or chunk_type == CHUNK_FIRST) == self.in_record:
                if self.in_record or not self.resyncing:
                    return self.stop_at(page, LOG_CHUNK_ORDER_WRONG, pos, block_end)
            elif chunk_type == CHUNK_FULL:
                self.resyncing = False
                if not self.add_record(page, data, data_end, self.window_offset + pos):
                    return self.stop_at(page, LOG_RECORD_INVALID, pos, block_end)
            else:
                if chunk_type == CHUNK_FIRST:
                    self.resyncing = False
                    self.in_record = True
                    self.record_offset = self.window_offset + pos
                    self.partial.clear()
                self.partial.insert(self.partial.end(), page.data + data, page.data + data_end)
                if chunk_type == CHUNK_LAST:
                    self.in_record = False
                    data = page.window_length + <Py_ssize_t> page.joined.size()
                    page.joined.insert(page.joined.end(), self.partial.begin(), self.partial.end())
                    if not self.add_record(
                        page, data, data + <Py_ssize_t> self.partial.size(), self.record_offset
                    ):
                        return self.stop_at(page, LOG_RECORD_INVALID, pos, block_end)
            pos = data_end
        return block_end

    cdef bint add_record(self, LogPage page, Py_ssize_t begin, Py_ssize_t end, int64_t offset) except -1 nogil:
        """Adds a whole record to the page if it is of a kind that is kept; False if it is malformed."""
        cdef Cursor cursor
        cdef OtherRecord other
        cdef Py_ssize_t message, message_end
        cdef uint32_t tag, field
        cdef byte_ptr field_end
        open_cursor(&cursor, page.span_data(begin), end - begin)
        while cursor.pos < cursor.end:
            if not read_tag(&cursor, &tag):
                return False
            field = tag >> 3
            if tag & 7 == WIRE_BYTES and field < 64 and self.kept >> field & 1:
                if not read_length(&cursor, &field_end):
                    return False
                message = begin + (cursor.pos - cursor.start)
                message_end = begin + (field_end - cursor.start)
                if field == HISTORY_RECORD:
                    self.add_row(page, message, message_end, offset)
                else:
                    other.field = field
                    other.span = RowSpan(message, message_end, False, False)
                    page.others.push_back(other)
                return True
            if not skip_field(&cursor, tag):
                return False
        return True

    cdef int add_row(self, LogPage page, Py_ssize_t begin, Py_ssize_t end, int64_t offset) except -1 nogil:
        """Adds a row to the page, with its step; one that has no `_step` gets it.

        The step is the `_step` item where that is a whole number; else the number of the `step` message; else the step
        after the row before, as W&B's server counts. An item of another type stays as it is.
        """
        cdef Cursor cursor
        cdef RowStep found
        cdef RowSpan span = RowSpan(begin, end, False, False)
        cdef int64_t step = UNKNOWN_STEP
        # Before the row may be copied.
        page.places.push_back(self.window_offset + begin if begin < page.window_length else -1)
        open_cursor(&cursor, page.span_data(begin), end - begin)
        if read_row_step(&cursor, &found):
            if found.kind == STEP_ITEM_WHOLE:
                step = found.item
            elif found.has_message:
                step = found.message
            else:
                step = self.last_step + (self.last_step < INT64_MAX)
            # INT64_MIN itself stands for a malformed row.
            step = max(step, -INT64_MAX)
            self.is_ascending &= step >= self.last_step
            self.last_step = step
            if found.kind == STEP_ITEM_MISSING:
                page.copy_with_step(&span, step)
            elif found.kind == STEP_ITEM_OTHER:
                self.odd_steps += 1
                if self.odd_step_offset < 0:
                    self.odd_step_offset = offset
        else:
            span.needs_slow_path = True
        add_span(page.spans, span.begin, span.end, span.needs_slow_path)
        page.offsets.push_back(offset)
        page.steps.push_back(step)
        return 0
