#include "core/journal/dump.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <csignal>

#include "tests/unit/journal/folder.h"

namespace tend::journal {
namespace {

Value apps(const std::string& name) {
  return List{Map{{"name", name}, {"instances", 2}, {"env", Map{{"A", "ü\n"}}}}};
}

TEST_CASE("a saved list is loaded again, private, with no file left over") {
  const Folder folder;
  const std::string path = folder.file("dump.json");
  REQUIRE(save_dump(path, apps("api")).has_value());
  CHECK(folder.count() == 1);
  CHECK(mode_of(path) == 0600);
  CHECK(read_text(path).rfind("{\n  \"version\": 1", 0) == 0);
  const auto loaded = load_dump(path);
  REQUIRE(loaded.has_value());
  CHECK(*loaded == apps("api"));
}

TEST_CASE("the former dump is kept, and read when the new one is missing or damaged") {
  const Folder folder;
  const std::string path = folder.file("dump.json");
  REQUIRE(save_dump(path, apps("one")).has_value());
  REQUIRE(save_dump(path, apps("two")).has_value());
  REQUIRE(save_dump(path, apps("three")).has_value());
  CHECK(folder.count() == 2);
  CHECK(*load_dump(path) == apps("three"));
  for (const char* bad :
       {"", "{", "[1]", "{\"apps\": []}", "{\"version\": 1, \"apps\": {}}", "{\"version\": \"1\"}"}) {
    write_text(path, bad);
    const auto loaded = load_dump(path);
    REQUIRE_MESSAGE(loaded.has_value(), bad);
    CHECK(*loaded == apps("two"));
  }
  std::filesystem::remove(path);
  CHECK(*load_dump(path) == apps("two"));
}

TEST_CASE("no dump at all is ENOENT, two bad ones are named with their reasons") {
  const Folder folder;
  const std::string path = folder.file("dump.json");
  const auto none = load_dump(path);
  REQUIRE(!none.has_value());
  CHECK(none.error().code == ENOENT);
  write_text(path, "{]");
  const auto bad = load_dump(path);
  REQUIRE(!bad.has_value());
  CHECK(bad.error().code == 0);
  CHECK(bad.error().message.find("dump.json: ") != std::string::npos);
  CHECK(bad.error().message.find("dump.json.bak: No such file") != std::string::npos);
}

TEST_CASE("a dump of a newer version is refused, not replaced by the older backup") {
  const Folder folder;
  const std::string path = folder.file("dump.json");
  REQUIRE(save_dump(path, apps("one")).has_value());
  REQUIRE(save_dump(path, apps("two")).has_value());
  write_text(path, "{\"version\": 2, \"apps\": []}");
  const auto loaded = load_dump(path);
  REQUIRE(!loaded.has_value());
  CHECK(loaded.error().message.find("version 2") != std::string::npos);
}

TEST_CASE("a save that the disk refuses leaves both files as they were") {
  const Folder folder;
  const std::string path = folder.file("dump.json");
  REQUIRE(save_dump(path, apps("one")).has_value());
  REQUIRE(save_dump(path, apps("two")).has_value());
  const std::string now = read_text(path), former = read_text(path + ".bak");

  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit tight{8, limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
  const auto refused = save_dump(path, apps("three"));
  ::setrlimit(RLIMIT_FSIZE, &limit);
  REQUIRE(!refused.has_value());
  CHECK(refused.error().code == EFBIG);
  CHECK(read_text(path) == now);
  CHECK(read_text(path + ".bak") == former);
  CHECK(folder.count() == 2);
}

}  // namespace
}  // namespace tend::journal
