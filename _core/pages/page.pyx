"""The base of all pages: rows are found once, and decoded when requested.

Some pages find their rows only when they are needed: code that needs to know where rows are, or how many, must call
`index` first, with the GIL.
"""

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.memory.buffer_pool cimport shared_pool
from histscan._core.memory.pooled_vectors cimport PooledVector
from histscan._core.bytes.cursor cimport NO_FAULT, Cursor, open_cursor_within
from histscan._core.bytes.faults cimport check_memory, raise_fault_at

from histscan.errors import HistoryDecodeError


cdef class Page:
    """Raw bytes of a step window, and where each row is. Abstract: the subclasses know their encoding.

    They set themselves up in `__cinit__`, which runs once: calling `__init__` again, as Python allows, must not replace
    the bytes that spans and other threads' cursors point into.
    """

    def __cinit__(self):
        self.spans = PooledVector[RowSpan](shared_pool())
        self.fault = NO_FAULT
        self.is_indexed = True

    @property
    def label(self):
        """The name of the page in errors; set by the code that makes the page."""
        cdef CriticalSection section
        section.enter(self)
        return self.page_label

    @label.setter
    def label(self, label):
        cdef CriticalSection section
        section.enter(self)
        self.page_label = label

    def __len__(self):
        self.index()
        return <Py_ssize_t> self.spans.size()

    def guess_length(self):
        """Estimate the number of rows, for reserving memory: usually not too low, but this is not guaranteed.

        Returns:
            A number of rows.
        """
        return len(self)

    def row(self, Py_ssize_t index):
        """Decode one row.

        Args:
            index: Which row of the page, from 0.

        Returns:
            What ``json.loads`` gives for the row's text.

        Raises:
            IndexError: The page has no such row.
            HistoryDecodeError: The row's bytes, or the page's at this place, are malformed.
        """
        if index < 0:
            raise IndexError(index)
        self.index()
        if index >= <Py_ssize_t> self.spans.size():
            self.raise_if_faulty()
            raise IndexError(index)
        return self.located_row(index)

    def rows(self):
        """Decode every row.

        Returns:
            A new list of the page's rows.

        Raises:
            HistoryDecodeError: A row's bytes, or the page's, are malformed.
        """
        cdef Py_ssize_t index
        cdef list rows = []
        self.index()
        for index in range(<Py_ssize_t> self.spans.size()):
            rows.append(self.located_row(index))
        self.raise_if_faulty()
        return rows

    def has_logged_order(self, Py_ssize_t index):
        """Tell if the keys of a row are in the order in which they were logged.

        Args:
            index: Which row of the page, from 0.

        Returns:
            False if the writer of the row did not keep the order: wandb's core writes items in Go's random map order.
        """
        return True

    cdef object located_row(self, Py_ssize_t index):
        """The row at an index that the caller has checked, or an error that names the row."""
        try:
            return self.decode_row(index)
        except HistoryDecodeError as error:
            check_memory(error)
            error.add_location(row=index)
            raise

    cdef object decode_row(self, Py_ssize_t index):
        """The row at an index that the caller has checked."""
        raise NotImplementedError

    cdef object decode_whole_row(self, Py_ssize_t index):
        """The row with all its keys, where `decode_row` omits some that were not requested."""
        return self.decode_row(index)

    cdef int index(self) except -1:
        """Makes sure that the spans are those of all rows."""
        return 0

    cdef void open_span(self, RowSpan span, Cursor* cursor) noexcept nogil:
        """Points a cursor at the row of a span, for reading without the GIL.

        The cursor's `start` is where the bytes begin that hold the row: readers of numbers look at bytes before them.
        """
        open_cursor_within(cursor, self.data, span.begin, span.end)

    cdef void open_row(self, size_t index, Cursor* cursor) noexcept nogil:
        """Points a cursor at the row at an index that the caller has checked."""
        self.open_span(self.spans[index], cursor)

    cdef int use_decoder_of(self, Page previous) except -1:
        """Reuses the previous page's key table, if that page is of the same kind."""
        return 0

    cdef int note_fault(self, const Cursor* cursor) except -1:
        """Ends the index where a reader stopped."""
        self.fault = cursor.fault
        self.fault_byte = cursor.fault_at - cursor.start
        return 0

    cdef int raise_if_faulty(self) except -1:
        """Raises the fault that ended the index early, if any."""
        if self.fault != NO_FAULT:
            try:
                raise_fault_at(self.fault, self.fault_byte)
            except HistoryDecodeError as error:
                check_memory(error)
                error.add_location(row=<Py_ssize_t> self.spans.size())
                raise
        return 0
