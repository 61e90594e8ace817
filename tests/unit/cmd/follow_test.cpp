#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <functional>

#include "cmd/tend/follow_linux.h"

using namespace tend;

namespace {

struct Folder {
  char dir[32] = "/tmp/tend-follow-XXXXXX";
  std::vector<std::string> made;
  Folder() { REQUIRE(mkdtemp(dir) != nullptr); }
  ~Folder() {
    for (const auto& path : made) ::unlink(path.c_str());
    ::rmdir(dir);
  }
  std::string path(const char* name) {
    made.push_back(std::string(dir) + "/" + name);
    return made.back();
  }
};

void append(const std::string& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

struct Seen {
  std::vector<std::string> lines;
  cli::Follower follower{[this](std::size_t index, std::string_view line) {
    lines.push_back(std::to_string(index) + ":" + std::string(line));
  }};
  // Steps until `count` lines came; gives up after about 5 s of silence.
  void await(std::size_t count) {
    for (int i = 0; i < 20 && lines.size() < count; ++i) REQUIRE(follower.step(250));
  }
};

UniqueFd open_end(const std::string& path) { return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); }

}  // namespace

TEST_CASE("what is appended comes line by line, a begun line once it ends") {
  Folder folder;
  const std::string path = folder.path("a.log");
  append(path, "old\nbeg");
  Seen seen;
  seen.follower.add(path, open_end(path), 7, "beg");
  append(path, "un\nnext\nhalf");
  seen.await(2);
  CHECK(seen.lines == std::vector<std::string>{"0:begun", "0:next"});
}

TEST_CASE("a truncated file is read from its begin") {
  Folder folder;
  const std::string path = folder.path("a.log");
  append(path, "a long first line\n");
  Seen seen;
  seen.follower.add(path, open_end(path), 18, "");
  REQUIRE(::truncate(path.c_str(), 0) == 0);
  append(path, "new\n");
  seen.await(1);
  CHECK(seen.lines == std::vector<std::string>{"0:new"});
}

TEST_CASE("a replaced file is followed under its name, and the old one is read to its end") {
  Folder folder;
  const std::string path = folder.path("a.log"), rotated = folder.path("a.log.1");
  append(path, "x\n");
  Seen seen;
  seen.follower.add(path, open_end(path), 2, "");
  append(path, "last of the old\n");
  REQUIRE(::rename(path.c_str(), rotated.c_str()) == 0);
  append(path, "first of the new\n");
  seen.await(2);
  CHECK(seen.lines == std::vector<std::string>{"0:last of the old", "0:first of the new"});
  append(path, "more\n");
  seen.await(3);
  CHECK(seen.lines.back() == "0:more");
}

TEST_CASE("a file that comes later is followed from its begin") {
  Folder folder;
  const std::string here = folder.path("a.log"), later = folder.path("b.log");
  append(here, "");
  Seen seen;
  seen.follower.add(here, open_end(here), 0, "");
  seen.follower.add(later, UniqueFd(), 0, "");
  append(later, "hello\n");
  seen.await(1);
  CHECK(seen.lines == std::vector<std::string>{"1:hello"});
}
