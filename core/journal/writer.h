// The blocking half of the journal: runs on the pool, one call at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace tend::journal {

// Whether the name `path` is this file's.
bool is_at(const std::string& path, int fd);
// The file `fd`, which has lost its name with the folder that it lay in, is copied to `path` and emptied.
Status bring_back(const std::string& path, int fd);

class Writer {
 public:
  Writer(std::string path, std::string boot_id);
  // Appends all or nothing: what a failed write left is cut off again. Opens, and where it pays compacts,
  // first.
  Status append(std::string_view bytes);
  std::string take_warning();  // of the last append, "" none
  int take_opened();           // the file, where it is another one since the last call; else -1

 private:
  Status open();
  Status look_for_it();
  void compact_if_due();
  std::string path_;
  std::string boot_id_;
  UniqueFd fd_;
  uint64_t size_ = 0;
  uint64_t check_at_ = 0;  // size at which it is looked whether compaction pays
  std::string warning_;
  bool news_ = false;
};

}  // namespace tend::journal
