// A LogWriter with real pipes and files in a folder of its own.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/logs/sink.h"
#include "core/loop/timer.h"

namespace tend::logs {

struct Remembered final : Log {
  std::vector<std::string> lines;
  void info(std::string_view s) override { lines.emplace_back(s); }
  void warn(std::string_view s) override { lines.emplace_back(s); }
  void error(std::string_view s) override { lines.emplace_back(s); }
};

struct Pocket final : Keepsakes {
  std::map<std::string, UniqueFd> held;
  void hold(std::string_view name, int fd) override {
    held.insert_or_assign(std::string(name), UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)));
  }
  void drop(std::string_view name) override { held.erase(std::string(name)); }
};

inline std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/tend-logs-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string operator/(const char* name) const { return path + "/" + name; }
};

struct Fixture {
  Folder folder;
  loop::Loop loop;
  SystemClock clock;
  Remembered log;
  Pocket pocket;
  std::unique_ptr<LogWriter> writer = std::make_unique<LogWriter>(loop, clock, log, pocket);

  StreamOptions to(const std::string& path) const {
    StreamOptions options;
    options.path = path;
    return options;
  }
  // Returns the write end.
  UniqueFd open(const StreamKey& key, const StreamOptions& options) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    writer->add(key, UniqueFd(ends[0]), options);
    return UniqueFd(ends[1]);
  }
  void finish(const StreamKey& key) {
    bool done = false;
    writer->finish(key, [&] {
      done = true;
      loop.stop();
    });
    loop::Timer limit(loop, [&] { loop.stop(); });
    limit.start({20000});
    while (!done) loop.run();
    REQUIRE(done);
  }
  // Until `met()`, looked at every few ms; fails after 10 s.
  template <class Condition>
  void until(Condition met) {
    int left = 2000;
    loop::Timer look(loop, [&] {
      if (met() || --left == 0) {
        loop.stop();
      } else {
        look.start({5});
      }
    });
    look.start({0});
    loop.run();
    REQUIRE(left > 0);
  }
};

inline void put(const UniqueFd& fd, std::string_view text) {
  REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

}  // namespace tend::logs
