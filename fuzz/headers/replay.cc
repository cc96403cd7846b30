// Runs a target on files, without a fuzzer: tests/fuzzing builds each target with it.

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int count, char **paths) {
    for (int index = 1; index < count; ++index) {
        std::ifstream file(paths[index], std::ios::binary);
        const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        // Printed before, so that it is known which input fails.
        std::printf("%s\n", paths[index]);
        std::fflush(stdout);
        // Memory of exactly this size, so that the sanitizers notice what is read outside it.
        const std::unique_ptr<uint8_t[]> input(new uint8_t[bytes.size()]);
        std::copy(bytes.begin(), bytes.end(), input.get());
        LLVMFuzzerTestOneInput(input.get(), bytes.size());
    }
}
