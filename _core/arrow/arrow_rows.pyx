"""Pages whose rows lie in Arrow's record batches, in the order of their steps."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t
from libcpp.vector cimport vector

from histscan._core.bytes.faults cimport check_memory
from histscan._core.arrow.arrow_batch cimport ArrowBatch
from histscan._core.arrow.arrow_layout cimport ArrowTarget
from histscan._core.pages.page cimport Page, RowSpan, add_span

from histscan.errors import HistoryDecodeError


# A row of one of several batches.
cdef struct MergedRow:
    int64_t step
    int64_t row
    Py_ssize_t batch


cdef extern from "arrow/arrow_values.hpp" namespace "histscan" nogil:
    void sort_by_step(vector[MergedRow]& rows) except +


cdef bint is_same(object left, object right) except -1:
    """Returns True if values are equal; NaN is equal to NaN, and the order of keys does not matter."""
    if type(left) is float and type(right) is float:
        return left == right or (left != left and right != right)
    if type(left) is dict and type(right) is dict:
        if len(left) != len(right):
            return False
        for key, value in (<dict> left).items():
            if key not in <dict> right or not is_same(value, (<dict> right)[key]):
                return False
        return True
    if type(left) is list and type(right) is list:
        if len(left) != len(right):
            return False
        for item, other in zip(left, right):
            if not is_same(item, other):
                return False
        return True
    return type(left) is not bool and type(right) is not bool and left == right or left is right


cdef class ArrowPage(Page):
    """Rows of record batches.

    Args:
        batches: The batches; the page has all rows of each, one batch after the other.

    Attributes:
        last_step: The highest step of its rows, as `take_rows` found it; None without rows.
    """

    def __cinit__(self, batches=()):
        cdef Py_ssize_t index, row
        cdef ArrowBatch batch
        self.sources = list(batches)
        for index, batch in enumerate(self.sources):
            for row in range(len(batch)):
                self.add_row(index, row)

    @property
    def batches(self):
        """The batches that the rows lie in."""
        return self.sources.copy()

    cdef int add_row(self, Py_ssize_t batch, Py_ssize_t row) except -1:
        return add_span(self.spans, row, batch)

    cdef object decode_row(self, Py_ssize_t index):
        cdef RowSpan span = self.spans[index]
        cdef ArrowBatch batch = self.sources[span.end]
        return batch.decode_row(span.begin)

    cdef bint repeats_row(self, size_t first, Py_ssize_t batch, Py_ssize_t row) except -1:
        """Returns True if the page has, from its span `first` on, an equal row of another origin."""
        cdef ArrowBatch source = self.sources[batch]
        cdef ArrowBatch other
        cdef size_t index
        cdef object repeated = None
        for index in range(first, self.spans.size()):
            other = self.sources[self.spans[index].end]
            if other.origin == source.origin:
                continue
            try:
                repeated = source.decode_row(row) if repeated is None else repeated
                if is_same(repeated, other.decode_row(self.spans[index].begin)):
                    return True
            except HistoryDecodeError as error:
                check_memory(error)
                # It is raised when the row is requested.
                continue
        return False

    def segments(self):
        """Where the rows lie.

        Returns:
            A list of (index of the batch, first row, number of rows), in the order of the rows.
        """
        cdef RowSpan span
        cdef Py_ssize_t batch = -1
        cdef Py_ssize_t first = 0
        cdef Py_ssize_t count = 0
        cdef list found = []
        cdef size_t index
        for index in range(self.spans.size()):
            span = self.spans[index]
            if span.end == batch and span.begin == first + count:
                count += 1
                continue
            if count:
                found.append((batch, first, count))
            batch, first, count = span.end, span.begin, 1
        if count:
            found.append((batch, first, count))
        return found

    def last_values(self):
        """Find the last value of each key.

        Returns:
            A dict of the keys that a row has.

        Raises:
            HistoryDecodeError: A value can't be decoded.
        """
        cdef Py_ssize_t index
        cdef size_t place
        cdef RowSpan span
        cdef ArrowBatch batch
        cdef const ArrowTarget* target
        cdef vector[vector[size_t]] wanted      # for each batch, the targets whose keys have not been found
        cdef size_t kept
        cdef dict found = {}
        wanted.resize(len(self.sources))
        for index in range(len(self.sources)):
            batch = self.sources[index]
            for place in range(batch.layout.targets.size()):
                wanted[index].push_back(place)
        for index in range(<Py_ssize_t> self.spans.size() - 1, -1, -1):
            span = self.spans[index]
            batch = self.sources[span.end]
            kept = 0
            for place in wanted[span.end]:
                target = &batch.layout.targets[place]
                key = <object> target.key
                if key in found:
                    continue
                try:
                    if not batch.put_value(place, span.begin, found):
                        wanted[span.end][kept] = place
                        kept += 1
                except HistoryDecodeError as error:
                    check_memory(error)
                    error.add_location(run=batch.run, page=batch.page, row=batch.first_row + span.begin)
                    raise
            wanted[span.end].resize(kept)
        return found


def take_rows(batches, stop_step=None):
    """Take the next rows of batches that were ordered by step.

    Rows of one step come in the order of the batches. Of rows that are equal in all requested keys, and come
    from batches of different origin, only the first is taken.

    Args:
        batches: The batches, each with its rows ordered.
        stop_step: Only rows below this step; None for all that are left.

    Returns:
        A page of the rows.
    """
    cdef ArrowPage page = ArrowPage()
    cdef ArrowBatch batch
    cdef vector[MergedRow] merged
    cdef MergedRow row
    cdef bint is_bounded = stop_step is not None
    cdef int64_t stop = stop_step if is_bounded else 0
    cdef bint several = False
    cdef vector[size_t] delivered   # of each batch, how many rows are
    cdef size_t first = 0       # of the page's spans, the first one of the row's step
    cdef int64_t step = 0
    cdef Py_ssize_t index
    page.sources = list(batches)
    if len(page.sources) == 1:
        batch = page.sources[0]
        delivered.push_back(batch.delivered)
        while delivered[0] < batch.pending.size() and (not is_bounded or batch.pending[delivered[0]].step < stop):
            page.add_row(0, batch.pending[delivered[0]].row)
            page.last_step = batch.pending[delivered[0]].step
            delivered[0] += 1
        batch.delivered = delivered[0]
        return page
    for index in range(len(page.sources)):
        batch = page.sources[index]
        several |= batch.origin != (<ArrowBatch> page.sources[0]).origin
        delivered.push_back(batch.delivered)
        while delivered[index] < batch.pending.size() and (
            not is_bounded or batch.pending[delivered[index]].step < stop
        ):
            row.step = batch.pending[delivered[index]].step
            row.row = batch.pending[delivered[index]].row
            row.batch = index
            merged.push_back(row)
            delivered[index] += 1
    sort_by_step(merged)
    for row in merged:
        if row.step != step:
            step = row.step
            first = page.spans.size()
        if several and first < page.spans.size() and page.repeats_row(first, row.batch, row.row):
            continue
        page.add_row(row.batch, row.row)
    if merged.size():
        page.last_step = merged.back().step
    # Only now, so that no row is lost where memory runs out.
    for index in range(len(page.sources)):
        (<ArrowBatch> page.sources[index]).delivered = delivered[index]
    return page
