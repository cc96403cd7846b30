// Arrow's C data and stream interfaces (arrow.apache.org/docs/format/CDataInterface.html): their structures, and the
// arrays and schemas that the core hands out through them.
//
// Exported arrays own their buffers: these are moved into them, and freed when the consumer releases them.

#ifndef HISTSCAN_ARROW_ABI_HPP
#define HISTSCAN_ARROW_ABI_HPP

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "memory/pooled_vectors.hpp"
#include "memory/text_room.hpp"

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

#endif

namespace histscan {

// The buffers of one array, of any type; those that the type does not use stay empty.
struct ArrayBuffers {
    explicit ArrayBuffers(BufferPool *pool = nullptr) : values(pool), text(pool) {}

    std::vector<uint8_t> validity;  // a bit for each value, or nothing where none is null
    CellBits values;                // of fixed-width types
    std::vector<uint8_t> bits;      // of bools
    std::vector<int32_t> offsets;   // of text and lists
    TextRoom text;
    int64_t length = 0;
    int64_t null_count = 0;
    char format = 'n';                    // the first character of Arrow's format string: n b l L g u +
    std::unique_ptr<ArrayBuffers> items;  // of a list, its items
    // In the batch's memory: instead of `validity`, and instead of any other buffer.
    const void *shared_validity = nullptr;
    const void *shared_values = nullptr;
};

struct ArrayOwner;

// What the columns of a batch own together: it is freed with the last of them.
struct BatchMemory {
    std::vector<ArrayOwner> owners;
    // Words that are zero at first. The system maps most of a large one only when it is written to.
    std::unique_ptr<uint64_t, void (*)(void *)> words{nullptr, std::free};

    void make_words(size_t count) {
        words.reset(static_cast<uint64_t *>(std::calloc(count + 1, sizeof(uint64_t))));
        if (!words) throw std::bad_alloc();
    }
};

// What an exported array owns.
struct ArrayOwner {
    ArrayBuffers buffers;
    const void *pointers[3] = {nullptr, nullptr, nullptr};
    std::vector<ArrowArray> children;
    std::vector<ArrowArray *> child_pointers;
    // Of a batch's column, the memory that this is in. Null where the owner has memory of its own.
    std::shared_ptr<BatchMemory> batch;
};

inline void release_array(ArrowArray *array) {
    ArrayOwner *owner = static_cast<ArrayOwner *>(array->private_data);
    // A child that was moved elsewhere has been marked released here.
    for (ArrowArray &child : owner->children) {
        if (child.release) child.release(&child);
    }
    array->release = nullptr;
    if (!owner->batch) {
        delete owner;
        return;
    }
    owner->buffers = ArrayBuffers();
    const std::shared_ptr<BatchMemory> batch = std::move(owner->batch);
}

// Points `out` at what `owner` holds; releasing it releases that.
inline void point_to_owner(ArrayOwner *owner, int64_t buffer_count, ArrowArray *out) {
    std::memset(out, 0, sizeof *out);
    for (ArrowArray &child : owner->children) owner->child_pointers.push_back(&child);
    out->length = owner->buffers.length;
    out->null_count = owner->buffers.null_count;
    out->n_buffers = buffer_count;
    out->n_children = static_cast<int64_t>(owner->children.size());
    out->buffers = owner->pointers;
    out->children = owner->children.empty() ? nullptr : owner->child_pointers.data();
    out->release = release_array;
    out->private_data = owner;
}

// Moves the buffers to their owner, and into an array of their type.
inline void export_array(ArrayBuffers &&buffers, ArrayOwner *owner, ArrowArray *out) {
    // Arrow requires a pointer that is not null for each buffer, even of an empty array.
    static const uint64_t nothing = 0;
    std::unique_ptr<ArrayBuffers> items = std::move(buffers.items);
    std::unique_ptr<ArrayOwner> child;
    owner->buffers = std::move(buffers);
    const ArrayBuffers &held = owner->buffers;
    int64_t buffer_count = 2;
    owner->pointers[0] = !held.null_count       ? nullptr
                         : held.shared_validity ? held.shared_validity
                                                : held.validity.data();
    switch (held.format) {
    case 'n':
        buffer_count = 0;
        break;
    case 'b':
        owner->pointers[1] = held.bits.empty() ? static_cast<const void *>(&nothing) : held.bits.data();
        break;
    case 'u':
        buffer_count = 3;
        owner->pointers[1] = held.offsets.data();
        owner->pointers[2] = held.text.empty() ? static_cast<const void *>(&nothing) : held.text.data();
        break;
    case '+':
        owner->pointers[1] = held.offsets.data();
        owner->children.resize(1);
        owner->child_pointers.reserve(1);
        child = std::make_unique<ArrayOwner>();
        export_array(std::move(*items), child.get(), &owner->children[0]);
        child.release();
        break;
    default:
        owner->pointers[1] = held.values.empty() ? static_cast<const void *>(&nothing) : held.values.data();
    }
    if (held.shared_values) owner->pointers[1] = held.shared_values;
    point_to_owner(owner, buffer_count, out);
}

// Moves the columns into a struct array, which is how the interface hands over a record batch. `batch` is the memory
// that they share.
inline void export_batch(
    std::vector<ArrayBuffers> &columns, const std::shared_ptr<BatchMemory> &batch, int64_t length, ArrowArray *out) {
    auto owner = std::make_unique<ArrayOwner>();
    owner->buffers.length = length;
    owner->children.resize(columns.size());
    owner->child_pointers.reserve(columns.size());
    batch->owners.resize(columns.size());
    try {
        for (size_t index = 0; index < columns.size(); ++index) {
            ArrayOwner &column = batch->owners[index];
            export_array(std::move(columns[index]), &column, &owner->children[index]);
            column.batch = batch;
        }
    } catch (...) {
        // Each column that is exported holds the batch, which has the columns.
        for (ArrowArray &child : owner->children) {
            if (child.release) child.release(&child);
        }
        throw;
    }
    point_to_owner(owner.release(), 1, out);
}

// Schemas, which are released with the list unless they were moved elsewhere.
class SchemaList {
public:
    SchemaList() = default;
    SchemaList(SchemaList &&other) = default;
    SchemaList &operator=(SchemaList &&other) {
        schemas_.swap(other.schemas_);
        return *this;
    }
    ~SchemaList() {
        for (ArrowSchema &schema : schemas_) {
            if (schema.release) schema.release(&schema);
        }
    }
    // Adds a schema that is to be filled in; until then it owns nothing.
    ArrowSchema &add() { return schemas_.emplace_back(); }
    size_t size() const { return schemas_.size(); }
    std::vector<ArrowSchema>::iterator begin() { return schemas_.begin(); }
    std::vector<ArrowSchema>::iterator end() { return schemas_.end(); }

private:
    std::vector<ArrowSchema> schemas_;
};

// What an exported schema owns.
struct SchemaOwner {
    std::string format, name, metadata;
    SchemaList children;
    std::vector<ArrowSchema *> child_pointers;
};

inline void release_schema(ArrowSchema *schema) {
    schema->release = nullptr;
    delete static_cast<SchemaOwner *>(schema->private_data);
}

// One pair of metadata, as the interface spells it: counts and lengths are int32 in the machine's byte order.
inline std::string encode_metadata(const std::string &key, const std::string &value) {
    std::string encoded;
    const auto put_length = [&encoded](size_t length) {
        const int32_t number = static_cast<int32_t>(length);
        encoded.append(reinterpret_cast<const char *>(&number), sizeof number);
    };
    put_length(1);
    put_length(key.size());
    encoded += key;
    put_length(value.size());
    encoded += value;
    return encoded;
}

inline ArrowSchema make_schema(const std::string &format, const std::string &name, SchemaList &&children,
    bool is_nullable, const std::string &metadata = {}) {
    auto owner = std::make_unique<SchemaOwner>();
    owner->format = format;
    owner->name = name;
    owner->metadata = metadata;
    owner->children = std::move(children);
    for (ArrowSchema &child : owner->children) owner->child_pointers.push_back(&child);
    ArrowSchema schema{};
    schema.format = owner->format.c_str();
    schema.name = owner->name.c_str();
    schema.metadata = owner->metadata.empty() ? nullptr : owner->metadata.data();
    schema.flags = is_nullable ? ARROW_FLAG_NULLABLE : 0;
    schema.n_children = static_cast<int64_t>(owner->children.size());
    schema.children = owner->child_pointers.empty() ? nullptr : owner->child_pointers.data();
    schema.release = release_schema;
    schema.private_data = owner.release();
    return schema;
}

// The schema of a column. `format` is Arrow's; of a list, its items' after "+l". JSON text is plain text whose metadata
// tell what it is: Arrow's extension type for it makes polars before 1.36 panic, and later ones give columns that have
// no text methods.
inline ArrowSchema make_column_schema(const std::string &format, const std::string &name, bool is_json) {
    SchemaList items;
    if (format.size() <= 2) {
        const std::string metadata = is_json ? encode_metadata("histscan.type", "json") : std::string();
        return make_schema(format, name, std::move(items), true, metadata);
    }
    ArrowSchema &item = items.add();
    item = make_schema(format.substr(2), "item", SchemaList(), true);
    return make_schema("+l", name, std::move(items), true);
}

inline void add_column_schema(SchemaList &schemas, const std::string &format, const std::string &name, bool is_json) {
    ArrowSchema &schema = schemas.add();
    schema = make_column_schema(format, name, is_json);
}

// The schema of record batches.
inline ArrowSchema make_batch_schema(SchemaList &columns) { return make_schema("+s", "", std::move(columns), false); }

}  // namespace histscan

#endif
