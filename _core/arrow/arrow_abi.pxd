"""Arrow's C data and stream interfaces, and how columns are handed out through them."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.vector cimport vector

from histscan._core.memory.buffer_pool cimport BufferPool
from histscan._core.memory.pooled_vectors cimport CellBits
from histscan._core.memory.text_room cimport TextRoom


cdef extern from "arrow/arrow_abi.hpp" nogil:
    cdef struct ArrowSchema:
        const char* format
        const char* name
        const char* metadata
        int64_t n_children
        ArrowSchema** children
        ArrowSchema* dictionary
        void (*release)(ArrowSchema*) noexcept nogil

    cdef struct ArrowArray:
        int64_t length
        int64_t null_count
        int64_t offset
        int64_t n_buffers
        int64_t n_children
        const void** buffers
        ArrowArray** children
        ArrowArray* dictionary
        void (*release)(ArrowArray*) noexcept nogil

    cdef struct ArrowArrayStream:
        int (*get_schema)(ArrowArrayStream*, ArrowSchema*) noexcept
        int (*get_next)(ArrowArrayStream*, ArrowArray*) noexcept
        const char* (*get_last_error)(ArrowArrayStream*) noexcept
        void (*release)(ArrowArrayStream*) noexcept
        void* private_data


cdef extern from "arrow/arrow_abi.hpp" namespace "histscan" nogil:
    # The buffers of one array; export moves them out.
    cdef cppclass ArrayBuffers:
        ArrayBuffers() except +
        ArrayBuffers(BufferPool*) except +
        vector[uint8_t] validity    # a bit for each value; filled in only where one is null
        CellBits values             # of int64, uint64 and float64
        vector[uint8_t] bits        # of bools
        vector[int32_t] offsets     # of text and lists
        TextRoom text
        int64_t length
        int64_t null_count
        char format                 # n null, b bool, l int64, L uint64, g float64, u text, + list
        unique_ptr[ArrayBuffers] items
        const void* shared_validity  # in the memory of the batch, instead of `validity`
        const void* shared_values    # the same, instead of `values`, `bits` or `offsets`

    # What the columns of a batch own together.
    cdef cppclass BatchMemory:
        void make_words(size_t count) except +
        unique_ptr[uint64_t] words  # zeros at first

    void export_batch(
        vector[ArrayBuffers]& columns, const shared_ptr[BatchMemory]& batch, int64_t length, ArrowArray* out
    ) except +

    # Schemas, which are released with the list.
    cdef cppclass SchemaList:
        pass

    # The texts are copied, and have no zero byte.
    void add_column_schema(SchemaList& schemas, const char* format, const char* name, bint is_json) except +
    # The schema of record batches; it takes the columns' schemas out of the list.
    ArrowSchema make_batch_schema(SchemaList& columns) except +
