"""Streams of record batches, imported through Arrow's C stream interface."""

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New

from histscan._core.arrow.arrow_abi cimport ArrowArray, ArrowArrayStream, ArrowSchema
from histscan._core.arrow.arrow_batch cimport ArrowBatch
from histscan._core.arrow.arrow_layout cimport ArrowLayout

from histscan.errors import HistoryDecodeError


cdef class SchemaOwner:
    """Owns an imported schema."""

    cdef ArrowSchema schema

    def __cinit__(self):
        self.schema.release = NULL

    def __dealloc__(self):
        if self.schema.release != NULL:
            self.schema.release(&self.schema)


cdef class ArrayOwner:
    """Owns an imported array, until a batch does."""

    cdef ArrowArray array

    def __cinit__(self):
        self.array.release = NULL

    def __dealloc__(self):
        if self.array.release != NULL:
            self.array.release(&self.array)


cdef class StreamOwner:
    """Owns an imported stream."""

    cdef ArrowArrayStream stream

    def __cinit__(self):
        self.stream.release = NULL

    def __dealloc__(self):
        if self.stream.release != NULL:
            self.stream.release(&self.stream)


cdef int raise_stream_error(ArrowArrayStream* stream, str what) except -1:
    cdef const char* message = stream.get_last_error(stream)
    reason = "" if message == NULL else ": " + message.decode("utf-8", "replace")
    raise HistoryDecodeError(f"an Arrow stream gave no {what}{reason}")


def read_batches(source not None, *, keys=None, required=()):
    """Import the record batches of a stream, one after the other.

    Args:
        source: Anything with ``__arrow_c_stream__``, such as a table.
        keys: As for `ArrowLayout`.
        required: As for `ArrowLayout`.

    Yields:
        An `ArrowBatch` for each.

    Raises:
        HistoryDecodeError: The stream fails, or a batch contradicts itself or its schema.
    """
    cdef StreamOwner owner = StreamOwner()
    cdef ArrowArrayStream* given
    cdef SchemaOwner schema = SchemaOwner()
    cdef ArrayOwner array
    cdef ArrowBatch batch
    cdef Py_ssize_t rows = 0
    capsule = source.__arrow_c_stream__()
    given = <ArrowArrayStream*> PyCapsule_GetPointer(capsule, "arrow_array_stream")
    if given.release == NULL:
        raise HistoryDecodeError("the Arrow stream was released before it was read")
    owner.stream = given[0]
    given.release = NULL
    if owner.stream.get_schema(&owner.stream, &schema.schema):
        raise_stream_error(&owner.stream, "schema")
    layout = ArrowLayout(PyCapsule_New(&schema.schema, "arrow_schema", NULL), keys=keys, required=required)
    while True:
        array = ArrayOwner()
        if owner.stream.get_next(&owner.stream, &array.array):
            raise_stream_error(&owner.stream, "batch")
        if array.array.release == NULL:
            return
        batch = ArrowBatch.__new__(ArrowBatch)
        batch.layout = layout
        batch.take_batch(&array.array)
        batch.first_row = rows
        rows += len(batch)
        yield batch
