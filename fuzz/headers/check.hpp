// What every target over the core's headers needs: a check that ends the process, and a count of the bytes executed.

#ifndef HISTSCAN_FUZZ_CHECK_HPP
#define HISTSCAN_FUZZ_CHECK_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

// Ends the process, with a message, unless the condition holds.
#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                      \
        }                                                                                      \
    } while (false)

namespace fuzz {

// Counts the bytes of all inputs; `python -m fuzz` reads the line that is printed at exit.
struct ByteCounter {
    unsigned long long bytes = 0;

    ~ByteCounter() { std::fprintf(stderr, "fuzz: executed %llu bytes\n", bytes); }
};

inline ByteCounter byte_counter;

}  // namespace fuzz

#endif
