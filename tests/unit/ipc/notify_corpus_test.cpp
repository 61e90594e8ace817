// The inputs of the notify fuzzer. Its entry point bears the same name as the frame fuzzer's: here it is
// included under another.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#define LLVMFuzzerTestOneInput notify_fuzz_one
#include "tests/fuzz/notify_fuzz.cpp"
#undef LLVMFuzzerTestOneInput

TEST_CASE("every datagram that the notify fuzzer once kept still passes its checks") {
  int replayed = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TEND_NOTIFY_CORPUS)) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
    CAPTURE(entry.path().string());
    notify_fuzz_one(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    ++replayed;
  }
  CHECK(replayed >= 10);
}
