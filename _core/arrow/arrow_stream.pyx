"""Chunks as an Arrow stream, by the C stream interface and the PyCapsule protocol.

A consumer may call a stream from any thread and without the GIL, so each callback acquires it; converting a chunk's
columns releases it again.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport EINVAL, EIO
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset
from libcpp.memory cimport make_shared, shared_ptr
from libcpp.vector cimport vector

from histscan._core.memory.critical_section cimport CriticalSection
from histscan._core.arrow.arrow_abi cimport (
    ArrayBuffers, ArrowArray, ArrowArrayStream, ArrowSchema, BatchMemory, SchemaList, add_column_schema, export_batch,
    make_batch_schema,
)
from histscan._core.memory.buffer_pool cimport POOL_CAPACITY, shared_pool
from histscan._core.columns.column_cells cimport CellTable
from histscan._core.columns.column_chunk cimport ColumnChunk
from histscan._core.columns.column_export cimport fill_buffers, fill_nulls, null_words, shared_words

from histscan._core.columns.column_types import JSON_FORMAT


cdef str arrow_name(str name):
    """A column's name as Arrow can have it: what UTF-8 or a C string can't hold is escaped as in JSON."""
    if name.isprintable():
        # Which surrogates and controls are not.
        return name
    return "".join(
        f"\\u{ord(character):04x}" if character == "\0" or "\ud800" <= character <= "\udfff" else character
        for character in name
    )


cdef void release_stream_capsule(object capsule) noexcept:
    """Frees a stream that its consumer never imported."""
    cdef ArrowArrayStream* stream = <ArrowArrayStream*> PyCapsule_GetPointer(capsule, "arrow_array_stream")
    if stream.release != NULL:
        stream.release(stream)
    PyMem_Free(stream)


cdef void release_schema_capsule(object capsule) noexcept:
    """Frees a schema that its consumer never imported."""
    cdef ArrowSchema* schema = <ArrowSchema*> PyCapsule_GetPointer(capsule, "arrow_schema")
    if schema.release != NULL:
        schema.release(schema)
    PyMem_Free(schema)


# These return True only if they succeed, even where there is no memory to note an error. None returns within a handler:
# Cython releases the traceback there, and without memory there is none.
cdef bint exports_schema(ArrowStream owner, ArrowSchema* out) noexcept:
    cdef bint is_done = False
    try:
        owner.export_schema(out)
        is_done = True
    except BaseException as error:
        owner.note_error(error)
    return is_done


cdef bint exports_next(ArrowStream owner, ArrowArray* out) noexcept:
    cdef bint is_done = False
    try:
        chunk = next(owner.chunks, None)
        if chunk is None:
            # A released array marks the end of the stream.
            memset(out, 0, sizeof(ArrowArray))
        else:
            owner.export_chunk(chunk, out)
        is_done = True
    except BaseException as error:
        owner.note_error(error)
    return is_done


cdef int get_stream_schema(ArrowArrayStream* stream, ArrowSchema* out) noexcept with gil:
    return 0 if exports_schema(<ArrowStream> stream.private_data, out) else EINVAL


cdef int get_next_array(ArrowArrayStream* stream, ArrowArray* out) noexcept with gil:
    return 0 if exports_next(<ArrowStream> stream.private_data, out) else EIO


cdef const char* last_error_of(ArrowStream owner) noexcept:
    cdef CriticalSection section
    section.enter(owner)
    if owner.last_error is None:
        return NULL
    return owner.last_error


cdef const char* get_stream_error(ArrowArrayStream* stream) noexcept with gil:
    return last_error_of(<ArrowStream> stream.private_data)


cdef void release_stream(ArrowArrayStream* stream) noexcept with gil:
    stream.release = NULL
    Py_DECREF(<ArrowStream> stream.private_data)


cdef class ArrowStream:
    """A stream of record batches of one schema; consumed once, by anything that takes Arrow's PyCapsules.

    Args:
        columns: Each column's format by its name, as ``column_types.merge_columns`` gives them for the chunks.
        chunks: The chunks, one for each record batch. They are consumed: their buffers go to the consumer.

    Attributes:
        error: The exception that ended the stream early; consumers only report its text.
    """

    def __init__(self, dict columns not None, chunks):
        # A copy, so that it still matches the formats if the caller's dict changes.
        self.columns = columns.copy()
        self.chunks = iter(chunks)
        self.formats.clear()
        self.item_formats.clear()
        for column_format in columns.values():
            self.formats.push_back(<char> (<int> ord(column_format[0])))
            self.item_formats.push_back(<char> (<int> ord(column_format[len(column_format) - 1])))
        self.latest_error = None

    @property
    def error(self):
        """The exception that ended the stream early; None if there was none."""
        cdef CriticalSection section
        section.enter(self)
        return self.latest_error

    def __arrow_c_schema__(self):
        """The schema, as a capsule of an ``ArrowSchema``."""
        cdef ArrowSchema* schema = <ArrowSchema*> PyMem_Malloc(sizeof(ArrowSchema))
        if schema == NULL:
            raise MemoryError()
        memset(schema, 0, sizeof(ArrowSchema))
        try:
            capsule = PyCapsule_New(schema, "arrow_schema", release_schema_capsule)
        except BaseException:
            PyMem_Free(schema)
            raise
        self.export_schema(schema)
        return capsule

    def __arrow_c_stream__(self, requested_schema=None):
        """The record batches, as a capsule of an ``ArrowArrayStream``.

        Args:
            requested_schema: The schema that the consumer prefers; it is ignored, the columns are exported as they are.
        """
        cdef ArrowArrayStream* stream = <ArrowArrayStream*> PyMem_Malloc(sizeof(ArrowArrayStream))
        if stream == NULL:
            raise MemoryError()
        stream.get_schema = get_stream_schema
        stream.get_next = get_next_array
        stream.get_last_error = get_stream_error
        stream.release = release_stream
        stream.private_data = <void*> self
        try:
            capsule = PyCapsule_New(stream, "arrow_array_stream", release_stream_capsule)
        except BaseException:
            PyMem_Free(stream)
            raise
        Py_INCREF(self)
        return capsule

    cdef int note_error(self, object error) except -1:
        """Keeps the error that ends the stream, and its text for the consumer, if there is memory for that."""
        cdef CriticalSection section
        section.enter(self)
        self.latest_error = error
        try:
            self.last_error = f"{type(error).__name__}: {error}".encode("utf-8", "replace")
        except MemoryError:
            self.last_error = b"MemoryError"
        return 0

    cdef int export_schema(self, ArrowSchema* out) except -1:
        """Fills in the schema of the record batches."""
        cdef SchemaList children
        cdef bytes form, column_name
        for name, column_format in self.columns.items():
            form = b"u" if column_format == JSON_FORMAT else column_format.encode()
            column_name = arrow_name(name).encode()
            add_column_schema(children, form, column_name, column_format == JSON_FORMAT)
        out[0] = make_batch_schema(children)
        return 0

    cdef int export_chunk(self, ColumnChunk chunk, ArrowArray* out) except -1:
        """Fills in a record batch with the chunk's rows, and consumes the chunk."""
        cdef vector[ArrayBuffers] arrays
        cdef vector[Py_ssize_t] places
        cdef shared_ptr[BatchMemory] batch = make_shared[BatchMemory]()
        cdef CellTable* cells = &chunk.cells
        cdef size_t row_count = <size_t> chunk.row_count
        cdef size_t word_count = null_words(row_count)
        cdef size_t index
        cdef uint64_t* words
        cdef uint64_t* zeros
        cdef bint has_words
        cdef char format
        chunk.use_up()
        for name in self.columns:
            places.push_back(<Py_ssize_t> chunk.index_of.get(name, -1))
        arrays.reserve(places.size())
        with nogil:
            for index in range(places.size()):
                if places[index] >= 0:
                    word_count += shared_words(cells, &cells.columns[places[index]], row_count, self.formats[index])
            # So many are not kept by the pool, and most of them need not even be written to.
            has_words = word_count * sizeof(uint64_t) > POOL_CAPACITY
            batch.get().make_words(word_count if has_words else null_words(row_count))
            zeros = batch.get().words.get()
            words = zeros + null_words(row_count) if has_words else NULL
            for index in range(places.size()):
                format = self.formats[index]
                arrays.emplace_back(shared_pool())
                if places[index] >= 0 and format != c'n':
                    word_count = shared_words(cells, &cells.columns[places[index]], row_count, format)
                    fill_buffers(
                        cells, &cells.columns[places[index]], row_count, format, self.item_formats[index], words,
                        &arrays[index],
                    )
                    if has_words:
                        words += word_count
                else:
                    fill_nulls(row_count, c'u' if format == c'j' else format, zeros, &arrays[index])
                    if format == c'+':
                        arrays[index].items.get().format = self.item_formats[index]
            export_batch(arrays, batch, <int64_t> row_count, out)
        return 0
