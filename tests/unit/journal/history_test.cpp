#include "core/journal/history.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/journal/folder.h"

namespace tend::journal {
namespace {

namespace fs = std::filesystem;

std::string history(const Folder& f) { return f.file("history/0"); }

Value end(int n) { return Map{{"kind", "end"}, {"n", n}}; }
Value verdict(int n) { return Map{{"kind", "health"}, {"n", n}}; }

List read(const Folder& f) {
  auto records = read_history(history(f));
  REQUIRE(records);
  return *records;
}

TEST_CASE("what was appended is read in order, and nobody else may read it") {
  Folder f;
  CHECK(read(f).empty());
  for (int i = 0; i < 5; ++i) REQUIRE(append_history(history(f), end(i)));
  const List records = read(f);
  REQUIRE(records.size() == 5);
  for (int i = 0; i < 5; ++i) CHECK(records[static_cast<std::size_t>(i)].at("n").integer() == i);
  struct stat st {};
  REQUIRE(::stat(history(f).c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
  REQUIRE(::stat(f.file("history").c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0700);
}

TEST_CASE("the oldest go: 20 ends and 40 verdicts stay, in a file that does not grow") {
  Folder f;
  for (int i = 0; i < 500; ++i) {
    REQUIRE(append_history(history(f), end(i)));
    REQUIRE(append_history(history(f), verdict(i)));
  }
  const List records = read(f);
  std::size_t ends = 0, verdicts = 0;
  for (const Value& r : records) ++(r.at("kind").text() == "end" ? ends : verdicts);
  CHECK(ends == kMostEnds);
  CHECK(verdicts == kMostVerdicts);
  CHECK(records.back().at("n").integer() == 499);
  CHECK(fs::file_size(history(f)) < 8192);
}

TEST_CASE("many verdicts do not push out the ends") {
  Folder f;
  for (int i = 0; i < 3; ++i) REQUIRE(append_history(history(f), end(i)));
  for (int i = 0; i < 300; ++i) REQUIRE(append_history(history(f), verdict(i)));
  const List records = read(f);
  CHECK(records.front().at("kind").text() == "end");
  CHECK(records.size() == 3 + kMostVerdicts);
}

TEST_CASE("a file cut at any byte gives what was whole, and takes more") {
  Folder f;
  for (int i = 0; i < 3; ++i) REQUIRE(append_history(history(f), end(i)));
  const auto size = fs::file_size(history(f));
  const fs::path whole = f.file("whole");
  fs::copy_file(history(f), whole);
  for (std::uintmax_t cut = 0; cut < size; ++cut) {
    CAPTURE(cut);
    fs::copy_file(whole, history(f), fs::copy_options::overwrite_existing);
    fs::resize_file(history(f), cut);
    REQUIRE(append_history(history(f), end(9)));
    const List records = read(f);
    CHECK(records.size() >= 1);
    CHECK(records.size() <= 3);
    CHECK(records.back().at("n").integer() == 9);
  }
}

TEST_CASE("a file that is no history is begun anew") {
  Folder f;
  fs::create_directory(f.file("history"));
  std::ofstream(history(f)) << std::string(500, 'x');
  REQUIRE(append_history(history(f), end(1)));
  CHECK(read(f).size() == 1);
}

TEST_CASE("a planted link is not followed") {
  Folder f;
  fs::create_directory(f.file("history"));
  std::ofstream(f.file("precious")) << "gold";
  fs::create_symlink(f.file("precious"), history(f));
  [[maybe_unused]] auto done = append_history(history(f), end(1));
  std::ifstream in(f.file("precious"));
  std::string text;
  in >> text;
  CHECK(text == "gold");
}

TEST_CASE("a record that is too large is refused and the rest stays") {
  Folder f;
  REQUIRE(append_history(history(f), end(1)));
  CHECK(!append_history(history(f), Map{{"kind", "end"}, {"text", std::string(kMaxHistoryRecord, 'x')}}));
  CHECK(read(f).size() == 1);
}

TEST_CASE("an end outlives its autopsy when that is too large") {
  Folder f;
  const Map autopsy{{"note", std::string(kMaxHistoryRecord, 'x')}};
  REQUIRE(append_history(history(f), Map{{"kind", "end"}, {"code", 7}, {"autopsy", autopsy}}));
  const List records = read(f);
  REQUIRE(records.size() == 1);
  CHECK(records[0].at("code").integer() == 7);
  CHECK(records[0].at("autopsy").at("note").text().size() < 100);
}

TEST_CASE("a write that the disk refuses midway is an error, loses nothing older, and the next one is kept") {
  Folder f;
  REQUIRE(append_history(history(f), end(1)));
  // A limit on the file's size fails as a full disk does: a part is written, then an error.
  const auto was = ::signal(SIGXFSZ, SIG_IGN);
  struct rlimit before {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const struct rlimit full { fs::file_size(history(f)) + 40, before.rlim_max };
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
  const Status refused = append_history(history(f), Map{{"kind", "end"}, {"text", std::string(500, 'x')}});
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, was);
  CHECK(!refused);
  CHECK(read(f).size() == 1);
  REQUIRE(append_history(history(f), end(2)));
  CHECK(read(f).back().at("n").integer() == 2);
  CHECK(read(f).size() == 2);
}

TEST_CASE("an erased history is empty") {
  Folder f;
  REQUIRE(append_history(history(f), end(1)));
  erase_history(history(f));
  CHECK(read(f).empty());
}

}  // namespace
}  // namespace tend::journal
