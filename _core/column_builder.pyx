"""From pages to columns of cells, without the GIL and without a Python object for any value.

A row that is out of the ordinary (malformed, or legal but rare: lone surrogates, fields out of order, keys given
twice) is left to the decoder of dict rows, which raises what there is to raise; its values then become cells one by
one. So columns hold what dict rows hold, and fail where they fail.
"""

import sys

from libc.stdint cimport int32_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector

from histscan._core.arrow_cells cimport add_arrow_rows
from histscan._core.arrow_rows cimport ArrowPage
from histscan._core.buffer_pool cimport shared_pool, use_pool
from histscan._core.column_cells cimport Column, put_document, put_number, put_token, reach_row
from histscan._core.column_chunk cimport ColumnChunk
from histscan._core.column_keys cimport OBJECT_COLUMN, SHARED_COLUMN, ColumnKeys, KeyTarget, note_key
from histscan._core.column_nested cimport put_nested
from histscan._core.column_objects cimport add_object_row
from histscan._core.cursor cimport Cursor, byte_ptr, hash_bytes, open_cursor_within, peek
from histscan._core.expected_items cimport AddedRows, add_expected_items, add_expected_rows
from histscan._core.expected_members cimport add_expected_members
from histscan._core.graphql_page cimport JsonPage
from histscan._core.item_selection cimport ItemSelection
from histscan._core.json_quoted cimport read_quoted_token, skip_quoted_key, skip_quoted_value, unquote
from histscan._core.json_skip cimport skip_key, skip_value
from histscan._core.json_text cimport Token, find_number_end, read_token, skip_space
from histscan._core.key_memory cimport NOT_REMEMBERED, RememberedKey, has_key
from histscan._core.known_items cimport add_known_items
from histscan._core.log_page cimport LogPage
from histscan._core.message_items cimport (
    ITEM_NONE, ITEM_PLAIN, PARQUET_ITEM, RECORD_ITEM, ItemKind, ItemSchema, enter_item_of, read_item,
)
from histscan._core.nested_items cimport NestedItem
from histscan._core.page cimport Page, RowSpan
from histscan._core.protobuf_page cimport ProtobufPage, find_row

from histscan.errors import HistoryError

use_pool(shared_pool())

cdef enum:
    # Room that columns get for more rows where nobody knows how many there will be.
    UNCOUNTED_ROWS = 256


cdef class ColumnBuilder:
    """Collects the rows of pages as columns.

    Args:
        keys: Only these keys become columns, in this order, and the others' values stay unread; None for all.
            Nested keys of a ``.wandb`` log may be dotted.
        flatten: Nested values become columns with dotted names, instead of one column of JSON text.
        expected_rows: How many rows will be added, where that is known: each column gets room for them at once. Not
            for counts that somebody claims; these rows have to be in memory.
    """

    def __cinit__(self, *args, **kwargs):
        self.start_chunk()

    def __init__(self, keys=None, *, bint flatten=False, size_t expected_rows=0):
        self.claim()
        try:
            self.flatten = flatten
            self.expected_rows = expected_rows
            self.selection = None if keys is None else ItemSelection(keys)
            self.start_chunk()
        finally:
            self.busy = False

    cdef int start_chunk(self) except -1:
        """Begins with no rows, and with the columns that were asked for."""
        cdef ColumnChunk chunk = ColumnChunk()
        cdef ColumnKeys keys = ColumnKeys(chunk, self.selection, self.flatten)
        self.chunk = chunk
        self.keys = keys
        return 0

    cdef int claim(self) except -1:
        """Has no other thread at these columns until the caller sets `busy` back.

        Whatever makes a Python object may let another thread in, so that the caller does nothing of it before.
        """
        if self.busy:
            raise RuntimeError("another thread is at work on these columns; give each thread a builder")
        self.busy = True
        return 0

    @property
    def row_count(self):
        """How many rows there are in the chunk being built."""
        return self.chunk.row_count

    @property
    def is_full(self):
        """Whether the chunk should be taken before more is added."""
        # Not while columns are being added.
        self.claim()
        self.busy = False
        return self.chunk.is_full()

    def take_chunk(self):
        """Hand over what was built, and start anew.

        Returns:
            The rows so far, as a chunk.
        """
        cdef ColumnChunk chunk
        self.claim()
        try:
            chunk = self.chunk
            self.start_chunk()
            with nogil:
                chunk.complete()
            return chunk
        finally:
            self.busy = False

    def add_page(self, Page page not None, Py_ssize_t first=0, limit=None):
        """Add rows of a page.

        Args:
            page: Any page.
            first: Index of the first row to add.
            limit: How many rows to add at most; None for all.

        Returns:
            The index of the first row that was not added; the page's length once all were.

        Raises:
            HistoryDecodeError: A row is malformed, or the page ends early; all rows before have been added.
            RuntimeError: Another thread is adding a page to this builder.
        """
        cdef Py_ssize_t row = max(first, 0)
        cdef Py_ssize_t stop = sys.maxsize if limit is None else min(row + limit, sys.maxsize)
        cdef Py_ssize_t page_end
        cdef Py_ssize_t end
        cdef Py_ssize_t ahead
        cdef list readers = [None] * len((<ArrowPage> page).sources) if isinstance(page, ArrowPage) else None
        self.claim()
        # How much further on a row is in the page than in the chunk.
        ahead = row - self.chunk.row_count
        try:
            if row == 0 and not page.is_indexed:
                whole_pages, _ = self.add_found_pages((page,), stop)
                row = self.chunk.row_count + ahead
                if whole_pages:
                    return row
            page.index()
            page_end = <Py_ssize_t> page.spans.size()
            end = min(page_end, stop)
            while row < end:
                if readers is None:
                    row = self.add_plain_rows(page, row, end)
                else:
                    row = add_arrow_rows(<ArrowPage> page, readers, self.chunk, self.selection, self.flatten, row, end)
                if row < end:
                    add_object_row(self.chunk, self.selection, self.flatten, page.decode_whole_row(row))
                    row += 1
        except HistoryError as error:
            error.add_location(row=self.chunk.row_count + ahead)
            raise
        else:
            if row == page_end:
                page.raise_if_faulty()
            return row
        finally:
            self.busy = False

    def add_whole_pages(self, pages):
        """Add the first ones of some pages in one go: those of protobuf, up to a row that needs care.

        The GIL is not asked for between pages, so that threads which build different ones don't wait for each other.

        Args:
            pages: Any pages; lists of dict rows are not added.

        Returns:
            How many of them were added, and how many rows of the next one. That one is for `add_page`, unless the
            chunk is full.

        Raises:
            HistoryDecodeError: A row is malformed; all rows before have been added.
            RuntimeError: Another thread is adding a page to this builder.
        """
        self.claim()
        try:
            # In a tuple, from which nobody can take a page meanwhile: its bytes would go with it.
            return self.add_found_pages(tuple(pages), sys.maxsize)
        finally:
            self.busy = False

    def add_rows(self, rows):
        """Add rows that are dicts already.

        Args:
            rows: An iterable of dicts.
        """
        self.claim()
        try:
            for row in rows:
                add_object_row(self.chunk, self.selection, self.flatten, row)
        finally:
            self.busy = False

    cdef Py_ssize_t add_plain_rows(self, Page page, Py_ssize_t first, Py_ssize_t end) except -1:
        """Adds rows from `first` up to `end`, and returns the first one that needs care, or `end`."""
        cdef Cursor cursor
        cdef Py_ssize_t index = first
        cdef size_t row = self.chunk.row_count
        cdef size_t row_limit = max(row + (end - first), self.expected_rows)
        cdef ItemSchema schema = RECORD_ITEM if isinstance(page, LogPage) else PARQUET_ITEM
        # Nothing is written to the builder and the chunk from row to row that has not changed: objects of two threads
        # may share a cache line, and each write of one would cost the other a look into memory.
        try:
            if isinstance(page, JsonPage):
                with nogil:
                    while index < end and not page.spans[index].has_surrogates:
                        page.open_row(index, &cursor)
                        if not self.add_json_row(&cursor, page.spans[index].is_quoted, row, row_limit):
                            break
                        index += 1
                        row += 1
            else:
                with nogil:
                    self.add_item_rows(page, page.spans.data() + first, end - first, schema, &row, row_limit)
        finally:
            index = first + <Py_ssize_t> (row - self.chunk.row_count)
            self.chunk.row_count = row
        if index < end:
            self.chunk.clear_row(row)
        return index

    cdef tuple add_found_pages(self, tuple pages, size_t limit):
        """Adds rows of pages as they are found, `limit` of them at most, up to a page that isn't one to find rows in.

        Returns how many pages are whole in the chunk, and how many rows of the next one are: the row behind them needs
        care, or is beyond the limit, or a fault is there instead of it; or the chunk is full.
        """
        cdef vector[Cursor] rests
        cdef size_t row = self.chunk.row_count
        cdef size_t begin = row
        cdef size_t stop = row + limit
        cdef size_t index = 0
        for page in pages:
            if not isinstance(page, ProtobufPage) or (<ProtobufPage> page).is_indexed:
                break
            rests.emplace_back()
            (<ProtobufPage> page).open_all(&rests.back())
        try:
            with nogil:
                while (
                    index < rests.size() and not self.chunk.is_full()
                    and self.find_and_add_rows(&rests[index], &row, stop)
                ):
                    index += 1
                    begin = row
        except HistoryError as error:
            error.add_location(page=pages[index].label, row=row - begin)
            raise
        finally:
            self.chunk.row_count = row
        return index, row - begin

    cdef int find_and_add_rows(self, Cursor* rest, size_t* row_count, size_t stop) except -1 nogil:
        """Adds rows of a page from where its cursor is, until the chunk has `stop`; `row_count` counts along.

        Returns whether these are all that is left of the page; -1 is for exceptions alone.
        """
        cdef RowSpan span
        cdef Cursor cursor
        cdef AddedRows added
        cdef size_t row = row_count[0]
        # Each row is read as soon as it is found: then where the next one begins is in the cache.
        while row < stop:
            added.position = 0
            added.next = NULL
            if self.keys.has_plain_items and self.keys.expected_items.can_put(row, self.chunk.columns):
                added = add_expected_rows(
                    &rest.pos, rest.end, rest.start, self.keys.expected_items.keys.data(),
                    self.keys.expected_items.keys.size(), row, min(stop, self.keys.expected_items.row_count),
                )
                row += added.row_count
                row_count[0] = row
                if row == stop:
                    break
            if not find_row(rest, &span):
                break
            open_cursor_within(&cursor, rest.start, span.begin, span.end)
            if added.next != NULL:
                cursor.pos = added.next
            if not self.add_item_row(
                &cursor, PARQUET_ITEM, row, max(row + UNCOUNTED_ROWS, self.expected_rows), added.position
            ):
                self.chunk.clear_row(row)
                return False
            row += 1
            row_count[0] = row
        return rest.pos == rest.end and not rest.fault

    cdef int add_item_rows(
        self, Page page, const RowSpan* spans, size_t count, ItemSchema schema, size_t* row, size_t row_limit
    ) except -1 nogil:
        """Adds rows that are messages of items up to the first one that needs care, and moves `row` on."""
        cdef Cursor cursor
        cdef size_t index = 0
        while index < count and not spans[index].has_surrogates:
            page.open_span(spans[index], &cursor)
            if not self.add_item_row(&cursor, schema, row[0], row_limit, 0):
                break
            index += 1
            row[0] += 1
        return 0

    cdef int add_json_row(self, Cursor* cursor, bint is_quoted, size_t row, size_t row_limit) except -1 nogil:
        """Adds a row that is JSON text, quoted or not; 0 where it needs care."""
        cdef byte_ptr begin
        cdef byte_ptr number_end
        cdef const RememberedKey* entry
        # How many members are expected to come: those of the row before, where rows bring them in one order.
        cdef size_t expected_count = self.keys.expected_members.keys.size()
        cdef bint can_put = self.keys.expected_members.can_put(row, self.chunk.columns)
        cdef size_t position = 0
        cdef uint64_t hash
        cdef int32_t index
        cdef bint repeats = True
        cdef cpp_bool is_closed = False
        cdef KeyTarget target
        cdef Column* column
        cdef Token token
        cdef int byte
        skip_space(cursor)
        if peek(cursor) != c'{':
            return 0
        cursor.pos += 1
        skip_space(cursor)
        if peek(cursor) != c'}':
            while True:
                index = NOT_REMEMBERED
                if can_put and position < expected_count:
                    position += add_expected_members(
                        &cursor.pos, cursor.end, cursor.start, &self.keys.expected_members.keys[position],
                        expected_count - position, row, &is_closed,
                    )
                    if is_closed:
                        break
                if position < expected_count:
                    entry = &self.keys.json_keys.entries[self.keys.json_order.order[position]]
                    if has_key(cursor, entry):
                        cursor.pos += entry.length
                        index = self.keys.json_order.order[position]
                        if peek(cursor) <= c' ':
                            # The key was remembered from where no white space followed it.
                            skip_space(cursor)
                    else:
                        expected_count = 0
                if index == NOT_REMEMBERED:
                    begin = cursor.pos
                    if not (skip_quoted_key(cursor) if is_quoted else skip_key(cursor)):
                        return 0
                    hash = hash_bytes(begin, cursor.pos - begin)
                    index = self.keys.json_keys.find(begin, cursor.pos - begin, hash)
                    if index == NOT_REMEMBERED:
                        if self.flatten and peek(cursor) == c'{':
                            # A key that only ever holds objects is no column of its own.
                            return 0
                        with gil:
                            index = self.keys.remember_json_key(begin, cursor.pos, hash, is_quoted)
                        if index == NOT_REMEMBERED:
                            return 0
                    repeats &= note_key(&self.keys.json_order, position, index)
                target = self.keys.json_order.targets[index]
                column = NULL
                if target.column >= 0:
                    column = &self.chunk.columns[target.column]
                    reach_row(column, row, row_limit)
                number_end = find_number_end(cursor.pos, cursor.end)
                if column != NULL and put_number(column, row, cursor.pos, number_end, cursor.start):
                    cursor.pos = number_end
                else:
                    byte = peek(cursor)
                    if target.column == SHARED_COLUMN:
                        return 0
                    if byte == c'{' and (target.column == OBJECT_COLUMN or (self.flatten and column != NULL)):
                        return 0
                    if is_quoted and (byte == c'{' or byte == c'['):
                        if not unquote(cursor, self.unquoted):
                            return 0
                        is_quoted = False
                    if column == NULL:
                        if not (skip_quoted_value(cursor) if is_quoted else skip_value(cursor)):
                            return 0
                    else:
                        if not (read_quoted_token(cursor, &token) if is_quoted else read_token(cursor, &token)):
                            return 0
                        if put_token(column, row, cursor, &token) != 1:
                            return 0
                position += 1
                if peek(cursor) != c',':
                    skip_space(cursor)
                    if peek(cursor) != c',':
                        break
                cursor.pos += 1
                if peek(cursor) <= c' ':
                    skip_space(cursor)
            if peek(cursor) != c'}':
                return 0
        cursor.pos += 1
        skip_space(cursor)
        self.keys.note_json_order(repeats)
        return cursor.pos == cursor.end

    cdef int add_item_row(
        self, Cursor* cursor, ItemSchema schema, size_t row, size_t row_limit, size_t position
    ) except -1 nogil:
        """Adds a row that is a message of items, or the rest of one; 0 where it needs care.

        The cursor is at the item at `position`; those before it were the expected ones, and have been added.
        """
        cdef byte_ptr row_end = cursor.end
        cdef byte_ptr begin = NULL
        cdef byte_ptr keys_end = NULL
        cdef byte_ptr item_end = NULL
        # How many items are expected to come: those of the row before, where rows bring them in one order.
        cdef size_t expected_count = self.keys.expected_items.keys.size()
        cdef bint can_put = self.keys.expected_items.can_put(row, self.chunk.columns)
        cdef uint64_t hash
        cdef int32_t index
        cdef size_t count
        cdef bint repeats = True
        cdef cpp_bool repeats_known = False
        cdef KeyTarget target
        cdef NestedItem nested
        cdef ItemKind kind
        if self.nested.size():
            self.nested.clear()
        while True:
            cursor.end = row_end
            index = NOT_REMEMBERED
            if can_put and position < expected_count:
                position += add_expected_items(
                    &cursor.pos, cursor.end, cursor.start, &self.keys.expected_items.keys[position],
                    expected_count - position, row,
                )
            if position < expected_count:
                index = self.keys.item_order.order[position]
                if enter_item_of(cursor, &self.keys.items.entries[index]):
                    item_end = cursor.end
                else:
                    index = NOT_REMEMBERED
                    expected_count = 0
            elif position < self.keys.item_order.order.size():
                count = add_known_items(
                    &cursor.pos, row_end, cursor.start, self.keys.known_items, self.chunk.columns, row,
                    &self.keys.item_order.order[position], self.keys.item_order.order.size() - position, &repeats_known,
                )
                position += count
                repeats &= repeats_known
            if index == NOT_REMEMBERED:
                kind = read_item(cursor, row_end, schema == RECORD_ITEM, &begin, &keys_end)
                if kind == ITEM_NONE:
                    break
                if kind != ITEM_PLAIN:
                    return 0
                item_end = cursor.end
                hash = hash_bytes(begin, keys_end - begin)
                index = self.keys.items.find(begin, keys_end - begin, hash)
                if index == NOT_REMEMBERED:
                    if self.flatten and peek(cursor) == c'{':
                        return 0
                    with gil:
                        index = self.keys.remember_item_key(cursor, schema, begin, keys_end, hash)
                    if index == NOT_REMEMBERED:
                        return 0
                repeats &= note_key(&self.keys.item_order, position, index)
            position += 1
            target = self.keys.item_order.targets[index]
            if target.path >= 0:
                # Decided at the row's end, when all that belongs together is there.
                nested.path = target.path
                nested.begin = cursor.pos
                nested.end = item_end
                self.nested.push_back(nested)
            elif target.column < 0:
                if target.column == SHARED_COLUMN or (target.column == OBJECT_COLUMN and peek(cursor) == c'{'):
                    return 0
            else:
                if self.flatten and peek(cursor) == c'{':
                    return 0
                if put_document(&self.chunk.columns[target.column], row, row_limit, cursor) != 1:
                    return 0
            cursor.pos = item_end
        self.keys.note_item_order(repeats)
        if self.nested.size():
            return put_nested(self.chunk.columns, self.keys.paths, self.nested, row, row_limit)
        return 1
