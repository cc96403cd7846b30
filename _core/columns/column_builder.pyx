"""From pages to columns of cells, without the GIL and without a Python object for any value.

A row that is malformed, or legal but rare (lone surrogates, fields out of order) takes the slow path: the decoder of
dict rows decodes it, or raises, and its values become cells one by one. So columns hold what dict rows hold, and fail
where they fail.
"""

import sys

from cpython.object cimport PyObject
from libc.stdint cimport int32_t
from libcpp cimport bool as cpp_bool
from libcpp.vector cimport vector

from histscan._core.arrow.arrow_cells cimport add_arrow_rows, arrow_texts
from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.arrow.arrow_rows cimport ArrowPage
from histscan._core.columns.cell_sink cimport CELLS_DONE, CELLS_SLOW, CellRow, add_item_cells, add_json_cells
from histscan._core.columns.column_cells cimport CELL_NULL, Cell, put_document, put_string, put_token
from histscan._core.columns.column_chunk cimport ColumnChunk
from histscan._core.columns.column_keys cimport ColumnKeys, KnownKeys
from histscan._core.columns.column_nested cimport put_nested
from histscan._core.columns.column_objects cimport add_object_row
from histscan._core.columns.row_texts cimport item_texts, member_texts, needs_texts
from histscan._core.bytes.cursor cimport Cursor, byte_ptr, open_cursor_within, peek
from histscan._core.bytes.faults cimport check_memory
from histscan._core.pages.graphql_page cimport JsonPage
from histscan._core.wire.item_format cimport PARQUET_ITEM, RECORD_ITEM, ItemSchema
from histscan._core.keys.item_selection cimport ItemSelection
from histscan._core.json.json_quoted cimport read_quoted_token, skip_quoted_value, unquote
from histscan._core.json.json_skip cimport skip_value
from histscan._core.json.json_text cimport Token, read_token, skip_space
from histscan._core.keys.key_table cimport TARGET_OBJECT, TARGET_PATH, TARGET_SHARED, KeyTarget
from histscan._core.pages.log_page cimport LogPage
from histscan._core.columns.nested_items cimport NestedItem
from histscan._core.pages.page cimport Page, RowSpan
from histscan._core.pages.protobuf_page cimport ProtobufPage, find_row

from histscan.errors import HistoryError

cdef enum:
    # Room that columns get for more rows where their number is unknown.
    UNCOUNTED_ROWS = 256


cdef int put_item_value(void* self, const KeyTarget& target, Cursor* value, cpp_bool* is_quoted) except -1 nogil:
    """Reads any value of an item."""
    cdef RowContext* context = <RowContext*> self
    cdef NestedItem nested
    cdef Cell cell
    if target.kind == TARGET_PATH:
        # Decided at the row's end, when all items of one object have been read.
        nested.path = target.path
        nested.begin = value.pos
        nested.end = value.end
        context.nested.push_back(nested)
        return CELLS_DONE
    # An item's value, unlike a member's, may begin with white space.
    skip_space(value)
    if target.kind == TARGET_SHARED or (peek(value) == c'{' and (context.flatten or target.kind == TARGET_OBJECT)):
        return CELLS_SLOW
    if target.column == NULL:
        return CELLS_DONE
    cell = context.cells.cell(target.column[0], context.row, context.cells.room)
    if put_document(target.column, cell, value) != 1:
        return CELLS_SLOW
    if context.notes_nulls and cell.tag[0] == CELL_NULL:
        target.column.null_rows.push_back(context.row)
    return CELLS_DONE


cdef int put_member_value(void* self, const KeyTarget& target, Cursor* cursor, cpp_bool* is_quoted) except -1 nogil:
    """Reads any value of a member of a JSON object."""
    cdef RowContext* context = <RowContext*> self
    cdef Token token
    cdef Cell cell
    cdef int byte = peek(cursor)
    if target.kind == TARGET_SHARED:
        return CELLS_SLOW
    if byte == c'{' and (target.kind == TARGET_OBJECT or (context.flatten and target.column != NULL)):
        return CELLS_SLOW
    if is_quoted[0] and (byte == c'{' or byte == c'['):
        if not unquote(cursor, context.unquoted[0]):
            return CELLS_SLOW
        is_quoted[0] = False
    if target.column == NULL:
        return skip_quoted_value(cursor) if is_quoted[0] else skip_value(cursor)
    if byte == c'"' and not is_quoted[0]:
        cell = context.cells.cell(target.column[0], context.row, context.cells.room)
        cursor.pos += 1
        return CELLS_DONE if put_string(target.column, cell, cursor, context.text[0]) == 1 else CELLS_SLOW
    if not (read_quoted_token(cursor, &token) if is_quoted[0] else read_token(cursor, &token)):
        return CELLS_SLOW
    cell = context.cells.cell(target.column[0], context.row, context.cells.room)
    if put_token(target.column, cell, cursor, &token) != 1:
        return CELLS_SLOW
    if context.notes_nulls and cell.tag[0] == CELL_NULL:
        target.column.null_rows.push_back(context.row)
    return CELLS_DONE


cdef int learn_item_key(void* self, Cursor* value, byte_ptr begin, byte_ptr end, int32_t* index) except -1 nogil:
    """Interns the key of an item."""
    cdef RowContext* context = <RowContext*> self
    # A key that only holds objects has no column of its own.
    skip_space(value)
    if context.flatten and peek(value) == c'{':
        return CELLS_SLOW
    with gil:
        (<ColumnBuilder> context.builder).chunk.row_at_hand = context.row
        index[0] = (<ColumnBuilder> context.builder).keys.learn_item_key(value, context.schema, begin, end)
    return CELLS_DONE


cdef int learn_member_key(void* self, Cursor* value, byte_ptr begin, byte_ptr end, int32_t* index) except -1 nogil:
    """Interns the key of a member of a JSON object."""
    cdef RowContext* context = <RowContext*> self
    if context.flatten and peek(value) == c'{':
        return CELLS_SLOW
    with gil:
        (<ColumnBuilder> context.builder).chunk.row_at_hand = context.row
        index[0] = (<ColumnBuilder> context.builder).keys.learn_member_key(begin, end)
    return CELLS_DONE


cdef inline int add_json_row(
    ColumnBuilder self, Cursor* cursor, bint is_quoted, RowContext* context, CellRow* cells, size_t row_limit
) except -1 nogil:
    """Adds a row that is JSON text, quoted or not; 0 where it takes the slow path."""
    skip_space(cursor)
    if peek(cursor) != c'{':
        return CELLS_SLOW
    if cells.row >= self.chunk.cells.room:
        if self.chunk.cells.make_room(cells.row, max(row_limit, self.expected_rows)):
            self.keys.note_sparse()
    context.row = cells.row
    if add_json_cells(cursor, is_quoted, cells[0]) != CELLS_DONE:
        return CELLS_SLOW
    skip_space(cursor)
    return cursor.pos == cursor.end


cdef inline int add_item_row(
    ColumnBuilder self, Cursor* cursor, RowContext* context, CellRow* cells, size_t row_limit
) except -1 nogil:
    """Adds a row that is a message of items; 0 where it takes the slow path."""
    if self.nested.size():
        self.nested.clear()
    if cells.row >= self.chunk.cells.room:
        if self.chunk.cells.make_room(cells.row, max(row_limit, self.expected_rows)):
            self.keys.note_sparse()
    context.row = cells.row
    if add_item_cells(cursor, context.schema, cells[0]) != CELLS_DONE:
        return CELLS_SLOW
    if self.nested.size():
        return put_nested(self.chunk.cells, self.keys.paths, self.nested, cells.row)
    return CELLS_DONE


cdef class ColumnBuilder:
    """Collects the rows of pages as columns.

    Args:
        keys: Only these keys become columns, in this order, and the others' values stay unread; None for all.
            Nested keys of a ``.wandb`` log may be dotted.
        flatten: Nested values become columns with dotted names, instead of one column of JSON text.
        expected_rows: How many rows will be added, where that is known: each column gets room for them at once. Not
            for counts that a server claims; these rows must be in memory.
        notes_nulls: Keep which values are null, not only which cells have no value: for `column_statistics`.
    """

    def __cinit__(self, *args, **kwargs):
        self.start_chunk()

    def __init__(self, keys=None, *, bint flatten=False, size_t expected_rows=0, bint notes_nulls=False):
        cdef CriticalSection section
        section.enter(self)
        self.claim()
        try:
            self.flatten = flatten
            self.expected_rows = expected_rows
            self.notes_nulls = notes_nulls
            self.selection = None if keys is None else ItemSelection(keys)
            self.start_chunk()
        finally:
            self.busy = False

    cdef int start_chunk(self) except -1:
        """Begins with no rows, and with the requested columns."""
        cdef ColumnChunk chunk = ColumnChunk()
        cdef ColumnKeys keys = ColumnKeys(chunk, self.selection, self.flatten)
        chunk.notes_nulls = self.notes_nulls
        self.chunk = chunk
        self.keys = keys
        return 0

    cdef int claim(self) except -1:
        """Marks the builder busy until the caller clears `busy`; raises if it already is.

        Making a Python object may switch threads, so the caller must not make any before this call.
        """
        if self.busy:
            raise RuntimeError("another thread is using this column builder: create one builder for each thread")
        self.busy = True
        return 0

    @property
    def row_count(self):
        """How many rows there are in the chunk being built."""
        cdef CriticalSection section
        section.enter(self)
        return self.chunk.row_count

    @property
    def is_full(self):
        """Returns True if the chunk should be taken before more is added."""
        cdef CriticalSection section
        section.enter(self)
        # Not while columns are being added.
        self.claim()
        self.busy = False
        return self.chunk.is_full()

    def take_chunk(self):
        """Return the rows so far as a chunk, and start a new chunk.

        Returns:
            The rows so far, as a chunk.
        """
        cdef CriticalSection section
        section.enter(self)
        cdef ColumnChunk chunk
        self.claim()
        try:
            chunk = self.chunk
            # The rows stay where they are if memory runs out.
            with nogil:
                chunk.complete()
            self.start_chunk()
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
        cdef CriticalSection section
        section.enter(self)
        cdef Py_ssize_t row = max(first, 0)
        cdef Py_ssize_t stop = sys.maxsize if limit is None else min(row + limit, sys.maxsize)
        cdef Py_ssize_t page_end
        cdef Py_ssize_t end
        cdef Py_ssize_t ahead
        cdef size_t begin
        cdef list readers = [None] * len((<ArrowPage> page).sources) if isinstance(page, ArrowPage) else None
        self.claim()
        # The difference between a row's index in the page and in the chunk.
        ahead = row - self.chunk.row_count
        begin = self.chunk.row_count
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
                    self.add_slow_row(page, row, readers)
                    row += 1
        except HistoryError as error:
            self.chunk.has_refused_row = True
            check_memory(error)
            error.add_location(row=self.chunk.row_count + ahead)
            raise
        else:
            if row == page_end:
                page.raise_if_faulty()
            return row
        finally:
            try:
                self.chunk.sort_names_since(begin, page, ahead)
            finally:
                self.busy = False

    def add_whole_pages(self, pages):
        """Add the first of some pages in one call: those of protobuf, up to a row that takes the slow path.

        The GIL is not acquired between pages, so that threads with different builders don't wait for each other.

        Args:
            pages: Any pages; lists of dict rows are not added.

        Returns:
            How many of them were added, and how many rows of the next one. That one is for `add_page`, unless the
            chunk is full.

        Raises:
            HistoryDecodeError: A row is malformed; all rows before have been added.
            RuntimeError: Another thread is adding a page to this builder.
        """
        cdef CriticalSection section
        section.enter(self)
        self.claim()
        try:
            # In a tuple, from which no other thread can remove a page meanwhile: its bytes would be freed.
            return self.add_found_pages(tuple(pages), sys.maxsize)
        finally:
            self.busy = False

    def add_rows(self, rows):
        """Add rows that are dicts already.

        Args:
            rows: An iterable of dicts.
        """
        cdef CriticalSection section
        section.enter(self)
        self.claim()
        try:
            for row in rows:
                add_object_row(self.chunk, self.selection, self.flatten, row, None)
        finally:
            self.busy = False

    cdef int add_slow_row(self, Page page, Py_ssize_t index, list readers) except -1:
        """Adds a row that takes the slow path; `readers` are those of an `ArrowPage`, otherwise None."""
        cdef object row = page.decode_whole_row(index)
        cdef dict texts = None
        cdef Cursor cursor
        if type(row) is dict and needs_texts(<dict> row, self.flatten):
            if readers is not None:
                texts = arrow_texts(<ArrowPage> page, readers, index)
            elif isinstance(page, JsonPage):
                texts = member_texts((<JsonPage> page).row_text(index))
            else:
                page.open_row(index, &cursor)
                texts = item_texts(
                    &cursor, self.keys.record_keys if isinstance(page, LogPage) else self.keys.parquet_keys
                )
        return add_object_row(self.chunk, self.selection, self.flatten, row, texts)

    cdef Py_ssize_t add_plain_rows(self, Page page, Py_ssize_t first, Py_ssize_t end) except -1:
        """Adds rows from `first` up to `end`, and returns the first one that takes the slow path, or `end`."""
        cdef Cursor cursor
        cdef RowContext context
        cdef CellRow cells
        cdef Py_ssize_t index = first
        cdef size_t row = self.chunk.row_count
        cdef size_t row_limit = row + (end - first)
        cdef ItemSchema schema = RECORD_ITEM if isinstance(page, LogPage) else PARQUET_ITEM
        # Only what has changed is written to the builder and the chunk for each row: objects of two threads may share
        # a cache line, and each write of one would cost the other a cache miss.
        try:
            if isinstance(page, JsonPage):
                with nogil:
                    self.open_members(&context, &cells)
                    while index < end and not page.spans[index].needs_slow_path:
                        page.open_row(index, &cursor)
                        cells.row = row
                        if not add_json_row(self, &cursor, page.spans[index].is_quoted, &context, &cells, row_limit):
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
                self.chunk.cells.clear_row(row)
        return index

    cdef tuple add_found_pages(self, tuple pages, size_t limit):
        """Adds rows of pages as they are found, `limit` of them at most, up to a page whose rows `find_row` can't find.

        Returns how many pages are whole in the chunk, and how many rows of the next one are: the row after them takes
        the slow path, or is beyond the limit, or a fault is in its place; or the chunk is full.
        """
        cdef vector[Cursor] rests
        cdef size_t row = self.chunk.row_count
        cdef size_t begin = row
        cdef size_t first_row = row
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
            self.chunk.has_refused_row = True
            check_memory(error)
            error.add_location(page=pages[index].label, row=row - begin)
            raise
        finally:
            self.chunk.row_count = row
            self.chunk.cells.clear_row(row)
            if rests.size():
                # No page of protobuf has the logged order.
                self.chunk.sort_names_since(first_row, pages[0], 0)
        return index, row - begin

    cdef void open_items(self, RowContext* context, CellRow* cells, ItemSchema schema) noexcept nogil:
        """Points at what rows of items need."""
        self.open_cells(context, cells, &self.keys.items)
        context.schema = schema
        cells.calls.put_value = put_item_value
        cells.calls.learn_key = learn_item_key

    cdef void open_members(self, RowContext* context, CellRow* cells) noexcept nogil:
        """Points at what rows that are JSON objects need."""
        self.open_cells(context, cells, &self.keys.members)
        cells.calls.put_value = put_member_value
        cells.calls.learn_key = learn_member_key

    cdef void open_cells(self, RowContext* context, CellRow* cells, KnownKeys* keys) noexcept nogil:
        """Points at what rows of either kind need."""
        context.builder = <PyObject*> self
        context.cells = &self.chunk.cells
        context.nested = &self.nested
        context.unquoted = &self.unquoted
        context.text = &self.text
        context.flatten = self.flatten
        context.notes_nulls = self.notes_nulls
        cells.table = &keys.table
        cells.row_template = &keys.row_template
        cells.calls.self = context
        cells.calls.notes_nulls = self.notes_nulls

    cdef int find_and_add_rows(self, Cursor* rest, size_t* row_count, size_t stop) except -1 nogil:
        """Adds rows of a page from its cursor on, until the chunk has `stop`; updates `row_count`.

        Returns 1 if these are all that is left of the page, otherwise 0; -1 is for exceptions alone.
        """
        cdef RowSpan span
        cdef Cursor cursor
        cdef RowContext context
        cdef CellRow cells
        cdef size_t row = row_count[0]
        self.open_items(&context, &cells, PARQUET_ITEM)
        # Each row is read as soon as it is found: then the beginning of the next one is in the cache.
        while row < stop and find_row(rest, &span):
            open_cursor_within(&cursor, rest.start, span.begin, span.end)
            cells.row = row
            if not add_item_row(self, &cursor, &context, &cells, row + UNCOUNTED_ROWS):
                return False
            row += 1
            row_count[0] = row
        return rest.pos == rest.end and not rest.fault

    cdef int add_item_rows(
        self, Page page, const RowSpan* spans, size_t count, ItemSchema schema, size_t* row, size_t row_limit
    ) except -1 nogil:
        """Adds rows that are messages of items up to the first slow one, and moves `row` on."""
        cdef Cursor cursor
        cdef RowContext context
        cdef CellRow cells
        cdef size_t index = 0
        self.open_items(&context, &cells, schema)
        while index < count and not spans[index].needs_slow_path:
            page.open_span(spans[index], &cursor)
            cells.row = row[0]
            if not add_item_row(self, &cursor, &context, &cells, row_limit):
                break
            index += 1
            row[0] += 1
        return 0
