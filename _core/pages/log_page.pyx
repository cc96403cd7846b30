"""Pages of a `.wandb` log: the records that end within one window of the file."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t
from libc.string cimport memcpy

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.bytes.cursor cimport NO_FAULT, Cursor, byte_ptr, open_cursor, open_cursor_within, peek
from histscan._core.bytes.faults cimport check_memory, fault_reason, raise_fault, raise_too_deep
from histscan._core.keys.item_selection cimport ItemSelection
from histscan._core.wire.item_format cimport ITEM_TAG, NESTED_KEY_TAG, RECORD_ITEM
from histscan._core.wire.wire cimport read_length
from histscan._core.rows.message_rows cimport MessageRowDecoder
from histscan._core.pages.page cimport Page, RowSpan
from histscan._core.rows.row_steps cimport STEP_ITEM_ROOM, UNKNOWN_STEP, RowStep, read_row_step, write_step_item

from histscan._core.rows.locate import locate_item

from histscan.errors import HistoryDecodeError, LogFormatError

cdef extern from "<algorithm>" namespace "std" nogil:
    bint binary_search(const int64_t* begin, const int64_t* end, int64_t value)


cdef class LogPage(Page):
    """The records of a log that end within one window of it. Made by ``LogReader.read_window``."""

    cdef byte_ptr span_data(self, Py_ssize_t begin) noexcept nogil:
        """Where the bytes of the span lie that begins at `begin`."""
        if begin < self.window_length:
            return self.data + begin
        return self.joined.data() + (begin - self.window_length)

    cdef int copy_with_step(self, RowSpan* span, int64_t step) except -1 nogil:
        """Copies a row after all others, with a `_step` item at its end, and sets `span` to the copy."""
        cdef uint8_t[STEP_ITEM_ROOM] item
        cdef size_t item_length = write_step_item(step, item)
        cdef size_t length = span.end - span.begin
        cdef size_t begin = self.joined.size()
        self.joined.resize(begin + length + item_length)
        # Located only now: the row may be in `joined`, which has just moved.
        memcpy(self.joined.data() + begin, self.span_data(span.begin), length)
        memcpy(self.joined.data() + begin + length, item, item_length)
        span.begin = self.window_length + <Py_ssize_t> begin
        span.end = span.begin + <Py_ssize_t> (length + item_length)
        return 0

    def has_logged_order(self, Py_ssize_t index):
        # wandb's core names the keys of items by `nested_key`, its older Python backend by `key`.
        cdef Cursor row
        cdef byte_ptr item_end
        if not 0 <= index < <Py_ssize_t> self.spans.size():
            return True
        self.open_row(index, &row)
        if peek(&row) != ITEM_TAG:
            return True
        row.pos += 1
        return not read_length(&row, &item_end) or row.pos == item_end or row.pos[0] != NESTED_KEY_TAG

    def step_range(self):
        """Find the steps of the page's rows without decoding them.

        Returns:
            The lowest and the highest step, or None where no row has one.
        """
        cdef int64_t step
        cdef int64_t lowest = INT64_MAX
        cdef int64_t highest = INT64_MIN
        with nogil:
            for step in self.steps:
                if step != UNKNOWN_STEP:
                    lowest = min(lowest, step)
                    highest = max(highest, step)
        return (lowest, highest) if lowest <= highest else None

    def add_steps_to(self, steps not None):
        """Append the step of each row to an array; rows whose step is unknown are left out.

        Args:
            steps: An ``array.array`` of type ``"q"``.
        """
        cdef int64_t step
        for step in self.steps:
            if step != UNKNOWN_STEP:
                steps.append(step)

    def select_steps(self, int64_t min_step, int64_t stop_step):
        """Keep only the rows of a range of steps. A malformed row stays, for its error to be raised.

        Args:
            min_step: First step to keep, inclusive.
            stop_step: First step not to keep.
        """
        cdef size_t index
        cdef size_t kept = 0
        with nogil:
            for index in range(self.spans.size()):
                if self.steps[index] == UNKNOWN_STEP or min_step <= self.steps[index] < stop_step:
                    self.keep_row(index, kept)
                    kept += 1
            self.resize_rows(kept)

    def drop_steps(self, const int64_t[::1] steps not None):
        """Drop the rows of some steps. A malformed row stays, for its error to be raised.

        Args:
            steps: The steps, ascending; at least one.

        Returns:
            How many rows were dropped.
        """
        cdef size_t index
        cdef size_t kept = 0
        cdef size_t count = self.spans.size()
        cdef const int64_t* begin = &steps[0]
        cdef const int64_t* end = begin + steps.shape[0]
        with nogil:
            for index in range(count):
                if not binary_search(begin, end, self.steps[index]):
                    self.keep_row(index, kept)
                    kept += 1
            self.resize_rows(kept)
        return <Py_ssize_t> (count - kept)

    def drop_rows(self, set dropped not None):
        """Drop some rows.

        Args:
            dropped: Their indices.
        """
        cdef size_t index
        cdef vector[size_t] kept
        for index in range(self.spans.size()):
            if index not in dropped:
                kept.push_back(index)
        self.keep_rows(kept)

    cdef int keep_rows(self, const vector[size_t]& kept) except -1:
        """Keeps the rows of these indexes, which ascend. All have been chosen before the first one moves."""
        cdef size_t place
        for place in range(kept.size()):
            self.keep_row(kept[place], place)
        return self.resize_rows(kept.size())

    cdef void keep_row(self, size_t index, size_t place) noexcept nogil:
        """Moves a row to a place at or before its own."""
        self.spans[place] = self.spans[index]
        self.offsets[place] = self.offsets[index]
        self.places[place] = self.places[index]
        self.steps[place] = self.steps[index]

    cdef int resize_rows(self, size_t count) except -1 nogil:
        """Cuts the page to its first `count` rows."""
        self.spans.resize(count)
        self.offsets.resize(count)
        self.places.resize(count)
        self.steps.resize(count)
        return 0

    def select_keys(self, ItemSelection selection not None):
        """Keep only the rows that have all of some keys, and of those rows only these keys.

        Args:
            selection: The keys; the same object for every page of a scan.
        """
        cdef Cursor cursor
        cdef RowSpan span
        cdef size_t index
        cdef vector[size_t] kept
        cdef bint wanted
        for index in range(self.spans.size()):
            span = self.spans[index]
            open_cursor(&cursor, self.span_data(span.begin), span.end - span.begin)
            try:
                wanted = selection.has_all(&cursor)
            except HistoryDecodeError as error:
                check_memory(error)
                # Decoding the row will raise it again, when all rows before it have been delivered.
                wanted = True
            if wanted:
                kept.push_back(index)
        self.keep_rows(kept)
        self.selection = selection

    def records(self, *fields):
        """Copy out the records of some kinds other than history.

        Args:
            fields: The kinds, as their field numbers in ``Record``: 3 summary, 5 config, 17 run, 18 exit; and others
                that the reader keeps.

        Returns:
            The messages' bytes, in the log's order.
        """
        cdef OtherRecord record
        cdef list found = []
        for record in self.others:
            if record.field in fields:
                found.append(
                    PyBytes_FromStringAndSize(
                        <char*> self.span_data(record.span.begin), record.span.end - record.span.begin
                    )
                )
        return found

    cdef object decode_row(self, Py_ssize_t index):
        cdef CriticalSection section
        section.enter(self)
        return self.decode_span(index, self.selection)

    cdef object decode_whole_row(self, Py_ssize_t index):
        cdef CriticalSection section
        section.enter(self)
        return self.decode_span(index, None)

    cdef object decode_span(self, Py_ssize_t index, ItemSelection selection):
        """The row at an index, with all its keys or with those of a selection."""
        cdef Cursor cursor
        cdef RowSpan span = self.spans[index]
        cdef byte_ptr data = self.span_data(span.begin)
        if self.decoder is None:
            self.decoder = MessageRowDecoder(RECORD_ITEM)
        open_cursor(&cursor, data, span.end - span.begin)
        try:
            try:
                if selection is not None:
                    row = selection.decode_row(&cursor)
                else:
                    row = self.decoder.decode_row(&cursor)
            except RecursionError:
                raise_too_deep(&cursor)
            if self.steps[index] == UNKNOWN_STEP:
                self.raise_if_stepless(data, span.end - span.begin)
            return row
        except HistoryDecodeError as error:
            check_memory(error)
            path = locate_item((<char*> data)[:span.end - span.begin], error.byte)
            if self.places[index] >= 0:
                error.byte += self.places[index]
            else:
                # The record lies in several chunks: the first of them is where to look.
                error.byte = self.offsets[index]
            error.add_location(path=path)
            raise

    cdef int raise_if_stepless(self, byte_ptr data, Py_ssize_t length) except -1:
        """Raises if a row needs its `step` message, which is malformed, because it has no `_step`."""
        cdef Cursor cursor
        cdef RowStep unused
        open_cursor(&cursor, data, length)
        if "_step" in self.decoder.decode_row(&cursor):
            return 0
        open_cursor(&cursor, data, length)
        if not read_row_step(&cursor, &unused):
            raise_fault(&cursor)
        return 0

    cdef void open_span(self, RowSpan span, Cursor* cursor) noexcept nogil:
        if span.begin < self.window_length:
            open_cursor_within(cursor, self.data, span.begin, span.end)
        else:
            open_cursor_within(
                cursor, self.joined.data(), span.begin - self.window_length, span.end - self.window_length
            )

    cdef int use_decoder_of(self, Page previous) except -1:
        cdef CriticalSection section
        if self.decoder is None and isinstance(previous, LogPage):
            section.enter(previous)
            self.decoder = (<LogPage> previous).decoder
        return 0

    cdef int raise_if_faulty(self) except -1:
        if self.fault != NO_FAULT:
            raise LogFormatError(
                f"{fault_reason(self.fault)}; rows before it were read: pass on_corrupt='skip' to continue after it",
                byte=self.fault_offset,
            )
        return 0
