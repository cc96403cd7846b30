// The checksum of a log's chunk, against the definition of CRC-32, bit by bit.
//
// Input: the chunk's type, one byte that says where the data begin, and the data.

#include <algorithm>

#include "bytes/crc32.hpp"
#include "check.hpp"

using namespace histscan;

namespace {

uint32_t add_byte(uint32_t state, uint8_t byte) {
    state ^= byte;
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ (state & 1 ? 0xEDB88320u : 0);
    return state;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz::byte_counter.bytes += size;
    if (size < 2) return 0;
    const uint8_t type = data[0];
    const uint8_t *begin = data + 2 + std::min<size_t>(data[1] % 64, size - 2), *end = data + size;
    const auto length = static_cast<size_t>(end - begin);
    uint32_t expected = add_byte(0xFFFFFFFFu, type);
    const uint32_t after_type = expected;
    for (const uint8_t *pos = begin; pos < end; ++pos) expected = add_byte(expected, *pos);
    CHECK(chunk_crc32(type, begin, length) == ~expected);
    CHECK(crc32_by_tables(after_type, begin, length) == expected);
    return 0;
}
