#include "core/journal/record.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "ipc/frame.h"
#include "ipc/msgpack.h"

namespace tend::journal {
namespace {

constexpr std::string_view kMagic = "TENDJRNL";
constexpr std::size_t kBootIdAt = 16;
constexpr uint8_t kPut = 1, kDelete = 2;

void put_u32(char* at, uint32_t n) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<char>(n >> (8 * i) & 0xff);
}

uint32_t get_u32(const char* at) {
  uint32_t n = 0;
  for (int i = 0; i < 4; ++i) n |= static_cast<uint32_t>(static_cast<unsigned char>(at[i])) << (8 * i);
  return n;
}

uint32_t checksum(std::string_view bytes) { return ipc::crc32c(std::as_bytes(std::span(bytes))); }

struct CloseFile {
  void operator()(std::FILE* f) const noexcept { std::fclose(f); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// What a power cut leaves of a header whose blocks were not written yet: a part of it, or zeros.
bool is_unwritten(std::string_view header) {
  const bool part = header.size() < kFileHeaderSize &&
                    header.substr(0, kMagic.size()) == kMagic.substr(0, std::min(header.size(), kMagic.size()));
  return part || header.find_first_not_of('\0') == std::string_view::npos;
}

Status read_file_header(const std::string& path, std::array<char, kFileHeaderSize>& raw, Scan& found) {
  if (std::string_view(raw.data(), kMagic.size()) != kMagic) return fail(path + ": not a journal of tend");
  const uint32_t version = get_u32(&raw[8]);
  const uint32_t crc = get_u32(&raw[12]);
  put_u32(&raw[12], 0);
  found.header_damaged = checksum({raw.data(), raw.size()}) != crc;
  if (found.header_damaged) {
    found.damage = path + ": damaged header";
  } else if (version != kFormatVersion) {
    return fail(path + ": journal version " + std::to_string(version) + "; this tend reads version " +
                std::to_string(kFormatVersion));
  }
  const std::string_view id(&raw[kBootIdAt], kFileHeaderSize - kBootIdAt);
  found.boot_id = id.substr(0, id.find('\0'));
  return {};
}

void measure(Scan& found) {
  found.live_size = kFileHeaderSize;
  for (const auto& [id, entry] : found.entries) {
    if (!entry.deleted) found.live_size += entry.size;
  }
}

Status read_at(int fd, uint64_t offset, std::span<char> into) {
  while (!into.empty()) {
    const ssize_t n = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read the journal");
    if (n == 0) return fail("read the journal: it became shorter");
    offset += static_cast<uint64_t>(n);
    into = into.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Status copy_live(const Scan& from, int to, uint64_t& size) {
  std::vector<char> raw;
  for (auto it = from.entries.begin(); it != from.entries.end(); ++it) {
    const auto& [id, entry] = *it;
    if (entry.deleted && std::next(it) != from.entries.end()) continue;
    raw.resize(entry.size);
    if (auto ok = read_at(from.fd.get(), entry.offset, raw); !ok) return ok;
    if (auto ok = write_all(to, {raw.data(), raw.size()}); !ok) return ok;
    size += entry.size;
  }
  return {};
}

}  // namespace

std::string encode_file_header(const std::string& boot_id) {
  std::string raw(kFileHeaderSize, '\0');
  kMagic.copy(raw.data(), kMagic.size());
  put_u32(&raw[8], kFormatVersion);
  boot_id.copy(&raw[kBootIdAt], kFileHeaderSize - kBootIdAt - 1);
  put_u32(&raw[12], checksum(raw));
  return raw;
}

bool encode_record(const Record& record, std::string& out) {
  std::vector<std::uint8_t> body;
  if (!record.body.is_null()) body = ipc::to_msgpack(record.body);
  if (body.size() > kMaxBody) return false;
  const std::size_t at = out.size();
  out.resize(at + kRecordHeaderSize);
  out.append(body.begin(), body.end());
  put_u32(&out[at], static_cast<uint32_t>(body.size()));
  put_u32(&out[at + 8], record.id);
  out[at + 12] = static_cast<char>(record.body.is_null() ? kDelete : kPut);
  put_u32(&out[at + 4], checksum(std::string_view(out).substr(at + 8)));
  return true;
}

Result<Scan> scan(const std::string& path) {
  Scan found;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && errno == ENOENT) return found;
  if (!fd) return fail_errno("open " + path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("stat " + path);
  if (!S_ISREG(info.st_mode)) return fail(path + ": not a regular file");
  if (info.st_size == 0) return found;

  UniqueFd own(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  const File file(own ? ::fdopen(own.get(), "r") : nullptr);
  if (!file) return fail_errno("open " + path);
  own.release();
  std::array<char, kFileHeaderSize> header{};
  const std::size_t got = std::fread(header.data(), 1, header.size(), file.get());
  if (is_unwritten({header.data(), got})) {
    found.header_damaged = true;
    found.damage = path + ": its begin was never written; it counts as empty";
    found.fd = std::move(fd);
    return found;
  }
  if (got != header.size()) return fail(path + ": not a journal of tend");
  if (auto ok = read_file_header(path, header, found); !ok) return tl::unexpected(ok.error());
  found.good_size = kFileHeaderSize;

  const auto total = static_cast<uint64_t>(info.st_size);
  std::string raw;
  while (found.good_size < total) {
    raw.resize(kRecordHeaderSize);
    bool good = std::fread(raw.data(), 1, kRecordHeaderSize, file.get()) == kRecordHeaderSize;
    const uint32_t length = get_u32(raw.data());
    good = good && length <= kMaxBody && length <= total - found.good_size;
    if (good) {
      raw.resize(kRecordHeaderSize + length);
      good = std::fread(&raw[kRecordHeaderSize], 1, length, file.get()) == length &&
             checksum(std::string_view(raw).substr(8)) == get_u32(&raw[4]);
    }
    if (std::ferror(file.get())) return fail_errno("read " + path);
    if (!good) {
      found.damage = path + ": cut off at byte " + std::to_string(found.good_size) + " of " +
                     std::to_string(total) + ", what follows is torn or damaged";
      break;
    }
    const auto kind = static_cast<uint8_t>(raw[12]);
    if (kind != kPut && kind != kDelete)
      return fail(path + ": record of unknown kind " + std::to_string(kind) + " at byte " +
                  std::to_string(found.good_size) + "; a newer tend wrote it");
    found.entries[get_u32(&raw[8])] = {found.good_size, static_cast<uint32_t>(raw.size()), kind == kDelete};
    found.good_size += raw.size();
  }
  measure(found);
  found.fd = std::move(fd);
  return found;
}

Result<Record> read_record(const Scan& scan, uint32_t id, const Entry& entry) {
  if (entry.deleted) return Record{id, {}};
  std::vector<char> body(entry.size - kRecordHeaderSize);
  if (auto ok = read_at(scan.fd.get(), entry.offset + kRecordHeaderSize, body); !ok)
    return tl::unexpected(ok.error());
  auto value = ipc::from_msgpack(std::as_bytes(std::span(body)));
  if (!value) return tl::unexpected(value.error());
  return Record{id, std::move(*value)};
}

Result<uint64_t> rewrite(const std::string& path, const std::string& boot_id, const Scan& scan) {
  failpoint("journal.rewrite.before");
  const std::string temporary = path + ".new";
  ::unlink(temporary.c_str());  // of a writer that was killed; there is one writer (the home's lock)
  UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno("open " + temporary);
  uint64_t size = kFileHeaderSize;
  Status done = write_all(fd.get(), encode_file_header(boot_id));
  if (done) done = copy_live(scan, fd.get(), size);
  // No fsync: after a power loss the boot id is another one, and nothing of this file is resumed.
  failpoint("journal.rewrite.written");
  if (done && ::rename(temporary.c_str(), path.c_str()) != 0) done = fail_errno("rename " + temporary);
  if (!done) {
    ::unlink(temporary.c_str());
    return tl::unexpected(done.error());
  }
  failpoint("journal.rewrite.renamed");
  return size;
}

}  // namespace tend::journal
