// Follows growing files without the daemon: through truncation, replacement, and creation again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace tend::cli {

class Follower {
 public:
  // `line` gets the number that add() gave, and a line without its newline; with `raw` whatever came, newlines
  // included, so that a line without an end is seen too.
  explicit Follower(std::function<void(std::size_t, std::string_view)> line, bool raw = false);

  // Follows `path` from `offset` in the file open as `fd` (empty: the file is not there yet). `begun` is the
  // start of a line of which the end was not written yet.
  std::size_t add(std::string path, UniqueFd fd, int64_t offset, std::string begun);
  // Waits until something happened or `limit_ms` is over, and reads what is new. inotify tells at once; a
  // look at each file 4 times a second finds what it does not report (splice before Linux 6.5, network file
  // systems). `wake`: a descriptor that ends the wait when it can be read.
  Status step(int limit_ms, int wake = -1);
  void look_at_all();  // now
  int fd() const { return inotify_.get(); }  // readable: step() has something; not all is told there

 private:
  struct File {
    std::string path;
    UniqueFd fd;
    int64_t offset = 0;
    std::string begun;
    int watch = -1;
    uint64_t device = 0, inode = 0;
  };
  void watch_folder(const std::string& path);
  void watch_file(File& file);
  void read_new(std::size_t index);
  void look(std::size_t index);

  std::function<void(std::size_t, std::string_view)> line_;
  bool raw_;
  std::vector<File> files_;
  UniqueFd inotify_;
};

}  // namespace tend::cli
