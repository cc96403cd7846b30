"""Pages of a `.wandb` log: the records that end within one window of the file."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t, uint64_t

from histscan._core.cursor cimport NO_FAULT, Cursor, byte_ptr, open_cursor, open_cursor_within
from histscan._core.faults cimport fault_reason, raise_too_deep
from histscan._core.item_selection cimport ItemSelection
from histscan._core.item_format cimport RECORD_ITEM
from histscan._core.message_rows cimport MessageRowDecoder
from histscan._core.page cimport Page, RowSpan
from histscan._core.wire cimport WIRE_BYTES, WIRE_VARINT, read_length, read_tag, read_varint, skip_field

from histscan._core.locate import locate_item

from histscan.errors import HistoryDecodeError, LogFormatError

cdef enum:
    STEP_TAG = 2 << 3 | WIRE_BYTES          # HistoryRecord.step
    STEP_NUMBER_TAG = 1 << 3 | WIRE_VARINT  # HistoryStep.num


cdef bint read_step(Cursor* cursor, int64_t* step) noexcept nogil:
    """The step of the HistoryRecord that is the cursor's message; 0 where it is not written, as proto3 has it.

    False if the record is malformed. Decoding the row will say how, so the fault is not kept.
    """
    cdef uint32_t tag
    cdef uint64_t number
    cdef byte_ptr field_end
    step[0] = 0
    while cursor.pos < cursor.end:
        if not read_tag(cursor, &tag):
            return False
        if tag != STEP_TAG:
            if not skip_field(cursor, tag):
                return False
            continue
        if not read_length(cursor, &field_end):
            return False
        while cursor.pos < field_end:
            if not read_tag(cursor, &tag):
                return False
            if tag == STEP_NUMBER_TAG:
                if not read_varint(cursor, &number):
                    return False
                step[0] = <int64_t> number
            elif not skip_field(cursor, tag):
                return False
    return True


cdef class LogPage(Page):
    """The records of a log that end within one window of it. Made by ``LogReader.read_window``."""

    cdef byte_ptr span_data(self, RowSpan span) noexcept nogil:
        """Where the bytes of a span begin."""
        if span.begin < self.window_length:
            return self.data + span.begin
        return self.joined.data() + (span.begin - self.window_length)

    def steps(self):
        """Find the steps of the page's rows without decoding them.

        Returns:
            The lowest and the highest step, or None where no row has one.
        """
        cdef Cursor cursor
        cdef RowSpan span
        cdef int64_t step
        cdef int64_t lowest = 0
        cdef int64_t highest = 0
        cdef bint found = False
        cdef size_t index
        with nogil:
            for index in range(self.spans.size()):
                span = self.spans[index]
                open_cursor(&cursor, self.span_data(span), span.end - span.begin)
                if read_step(&cursor, &step):
                    lowest = step if not found or step < lowest else lowest
                    highest = step if not found or step > highest else highest
                    found = True
        return (lowest, highest) if found else None

    def select_steps(self, int64_t min_step, int64_t stop_step):
        """Keep only the rows of a range of steps. A row whose step can't be read stays, for its error to be seen.

        Args:
            min_step: First step to keep, inclusive.
            stop_step: First step not to keep.
        """
        cdef Cursor cursor
        cdef size_t index
        cdef size_t kept = 0
        cdef int64_t step
        with nogil:
            for index in range(self.spans.size()):
                open_cursor(&cursor, self.span_data(self.spans[index]), self.spans[index].end - self.spans[index].begin)
                if not read_step(&cursor, &step) or min_step <= step < stop_step:
                    self.spans[kept] = self.spans[index]
                    self.offsets[kept] = self.offsets[index]
                    kept += 1
            self.spans.resize(kept)
            self.offsets.resize(kept)

    def select_keys(self, ItemSelection selection not None):
        """Keep only the rows that have all of some keys, and of those rows only these keys.

        Args:
            selection: The keys; the same object for every page of a scan.
        """
        cdef Cursor cursor
        cdef size_t index
        cdef size_t kept = 0
        cdef bint wanted
        self.selection = selection
        for index in range(self.spans.size()):
            open_cursor(&cursor, self.span_data(self.spans[index]), self.spans[index].end - self.spans[index].begin)
            try:
                wanted = selection.has_all(&cursor)
            except HistoryDecodeError:
                # Decoding the row will raise it again, when all rows before it have been delivered.
                wanted = True
            if wanted:
                self.spans[kept] = self.spans[index]
                self.offsets[kept] = self.offsets[index]
                kept += 1
        self.spans.resize(kept)
        self.offsets.resize(kept)

    def records(self, int field):
        """Copy out the records of a kind other than history.

        Args:
            field: The kind, as its field number in ``Record``: 3 summary, 5 config, 17 run, 18 exit.

        Returns:
            The messages' bytes, in the log's order.
        """
        cdef OtherRecord record
        cdef list found = []
        for record in self.others:
            if record.field == field:
                found.append(
                    PyBytes_FromStringAndSize(
                        <char*> self.span_data(record.span), record.span.end - record.span.begin
                    )
                )
        return found

    cdef object decode_row(self, Py_ssize_t index):
        return self.decode_span(index, self.selection)

    cdef object decode_whole_row(self, Py_ssize_t index):
        return self.decode_span(index, None)

    cdef object decode_span(self, Py_ssize_t index, ItemSelection selection):
        """The row at an index, with all its keys or with those of a selection."""
        cdef Cursor cursor
        cdef RowSpan span = self.spans[index]
        cdef byte_ptr data = self.span_data(span)
        if self.decoder is None:
            self.decoder = MessageRowDecoder(RECORD_ITEM)
        open_cursor(&cursor, data, span.end - span.begin)
        try:
            try:
                if selection is not None:
                    return selection.decode_row(&cursor)
                return self.decoder.decode_row(&cursor)
            except RecursionError:
                raise_too_deep(&cursor)
        except HistoryDecodeError as error:
            path = locate_item((<char*> data)[:span.end - span.begin], error.byte)
            if span.begin < self.window_length:
                error.byte += self.window_offset + span.begin
            else:
                # The record lies in several chunks: the first of them is where to look.
                error.byte = self.offsets[index]
            error.add_location(path=path)
            raise

    cdef void open_span(self, RowSpan span, Cursor* cursor) noexcept nogil:
        if span.begin < self.window_length:
            open_cursor_within(cursor, self.data, span.begin, span.end)
        else:
            open_cursor_within(
                cursor, self.joined.data(), span.begin - self.window_length, span.end - self.window_length
            )

    cdef int use_decoder_of(self, Page previous) except -1:
        if self.decoder is None and isinstance(previous, LogPage):
            self.decoder = (<LogPage> previous).decoder
        return 0

    cdef int raise_if_faulty(self) except -1:
        if self.fault != NO_FAULT:
            raise LogFormatError(
                f"{fault_reason(self.fault)}; every row before was read, and on_corrupt='skip' goes on behind it",
                byte=self.fault_offset,
            )
        return 0
