// The journal as a crash or a bad disk may leave it: reading it ends, keeps to what is there, and what is
// written anew from it reads as the same. A broken promise aborts.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "core/base/unique_fd.h"
#include "core/journal/record.h"
#include "ipc/frame.h"

using namespace tend;
using namespace tend::journal;

namespace {

void expect(bool promise) {
  if (!promise) std::abort();
}

// In memory, and gone with the process.
struct Folder {
  std::string path;
  Folder() {
    char name[] = "/dev/shm/tend-fuzz-XXXXXX";
    expect(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

const std::string& folder() {
  static const Folder kFolder;
  return kFolder.path;
}

void write_file(const std::string& path, const std::string& bytes) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  expect(fd && ::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
}

// Else no mutation would get past the checksums: each record's is made right, as far as the lengths go.
void mend_checksums(std::string& file) {
  std::size_t at = kFileHeaderSize;
  while (at + kRecordHeaderSize <= file.size()) {
    uint32_t length = 0;
    std::memcpy(&length, file.data() + at, 4);
    if (length > file.size() - at - kRecordHeaderSize) return;
    const uint32_t sum =
        ipc::crc32c(std::as_bytes(std::span(file.data() + at + 8, kRecordHeaderSize - 8 + length)));
    std::memcpy(file.data() + at + 4, &sum, 4);
    at += kRecordHeaderSize + length;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string file = encode_file_header("boot");
  if ((data[0] & 1) != 0) file.clear();  // the header too comes from outside
  file.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 2) != 0) mend_checksums(file);
  const std::string path = folder() + "/journal";
  write_file(path, file);
  const auto found = scan(path);
  if (!found) return 0;
  expect(found->good_size <= file.size());
  for (const auto& [id, entry] : found->entries) {
    expect(entry.offset + entry.size <= found->good_size);
    if (entry.deleted) continue;
    const auto record = read_record(*found, id, entry);
    if (record) expect(record->id == id);
  }
  const auto size_now = rewrite(path, found->boot_id, *found);
  expect(size_now.has_value());
  const auto again = scan(path);
  expect(again && again->damage.empty() && again->good_size == *size_now);
  for (const auto& [id, entry] : found->entries) {
    if (entry.deleted) continue;
    const auto now = again->entries.find(id);
    expect(now != again->entries.end() && !now->second.deleted && now->second.size == entry.size);
  }
  return 0;
}
