// The journal's file format, and reading it.
//
//   header, 64 bytes: magic8 "TENDJRNL", version u32 = 1, crc32c u32 (over the header, this field zero), boot
//   id (text,
//                     NUL-padded to 48)
//   then records:     length u32 (of the body), crc32c u32 (over all that follows), id u32, kind u8 (1 put, 2
//   delete),
//                     body (MessagePack; empty for delete)
// Little-endian. The last record of an id counts. A file begins by rename, so only its end can be torn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/journal/journal.h"

namespace tend::journal {

inline constexpr std::size_t kFileHeaderSize = 64;
inline constexpr std::size_t kRecordHeaderSize = 13;
inline constexpr uint32_t kMaxBody = 16u << 20;
inline constexpr uint32_t kFormatVersion = 1;

std::string encode_file_header(const std::string& boot_id);
// Appends the record to `out`. False, and `out` unchanged: the body is above kMaxBody.
bool encode_record(const Record& record, std::string& out);

struct Entry {  // the last record of an id
  uint64_t offset = 0;
  uint32_t size = 0;  // with its header
  bool deleted = false;
};

struct Scan {
  UniqueFd fd;  // what was read; none: there is no file, or an empty one
  std::string boot_id;
  std::map<uint32_t, Entry> entries;
  uint64_t good_size = 0;       // up to here everything is valid
  uint64_t live_size = 0;       // what a compacted file would hold
  bool header_damaged = false;  // by its checksum; the records are checked one by one
  std::string damage;           // one line for the log; "" when the whole file is good
};

// Checks the whole file; holds one record in memory at a time. Error: not a journal, a newer version, an
// unknown kind.
Result<Scan> scan(const std::string& path);
// The record that a scan found.
Result<Record> read_record(const Scan& scan, uint32_t id, const Entry& entry);
// Writes a file with only the live records of `scan` (and, so that ids are not used twice, the highest
// deleted one) beside `path` and renames it. Returns its size.
Result<uint64_t> rewrite(const std::string& path, const std::string& boot_id, const Scan& scan);

}  // namespace tend::journal
