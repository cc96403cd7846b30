"""What every page has: rows found once, decoded when asked for."""

from histscan._core.buffer_pool cimport shared_pool, use_pool
from histscan._core.cursor cimport NO_FAULT, Cursor, open_cursor_within
from histscan._core.faults cimport raise_fault_at

from histscan.errors import HistoryDecodeError

use_pool(shared_pool())


cdef class Page:
    """Raw bytes of a step window, and where each row is. Abstract: the subclasses know their encoding."""

    def __cinit__(self):
        self.fault = NO_FAULT

    def __len__(self):
        return <Py_ssize_t> self.spans.size()

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
        cdef list rows = [self.located_row(index) for index in range(<Py_ssize_t> self.spans.size())]
        self.raise_if_faulty()
        return rows

    cdef object located_row(self, Py_ssize_t index):
        """The row at an index that the caller has checked, or an error that says which row it is of."""
        try:
            return self.decode_row(index)
        except HistoryDecodeError as error:
            error.add_location(row=index)
            raise

    cdef object decode_row(self, Py_ssize_t index):
        """The row at an index that the caller has checked."""
        raise NotImplementedError

    cdef object decode_whole_row(self, Py_ssize_t index):
        """The row with all its keys, where `decode_row` leaves out some that nobody asked for."""
        return self.decode_row(index)

    cdef void open_row(self, size_t index, Cursor* cursor) noexcept nogil:
        """Points a cursor at the row at an index that the caller has checked, for reading without the GIL.

        The cursor starts where the bytes do that lead up to the row: readers of numbers look at what is before them.
        """
        open_cursor_within(cursor, self.data, self.spans[index].begin, self.spans[index].end)

    cdef int use_decoder_of(self, Page previous) except -1:
        """Goes on with what the page before has learnt of the rows' keys, if it is of the same kind."""
        return 0

    cdef int note_fault(self, const Cursor* cursor) except -1:
        """Ends the index where a reader stopped."""
        self.fault = cursor.fault
        self.fault_byte = cursor.fault_at - cursor.start
        return 0

    cdef int raise_if_faulty(self) except -1:
        """Raises what ended the index early, if anything did."""
        if self.fault != NO_FAULT:
            try:
                raise_fault_at(self.fault, self.fault_byte)
            except HistoryDecodeError as error:
                error.add_location(row=<Py_ssize_t> self.spans.size())
                raise
        return 0
