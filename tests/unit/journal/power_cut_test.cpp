// A power cut at any byte of any write: the state before it or after it is read, never another one.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/journal/journal.h"
#include "core/journal/record.h"
#include "tests/unit/journal/folder.h"

namespace tend::journal {
namespace {

const std::string kBoot = "2f5a9b1e-0000-4000-8000-000000000001";

struct Silent : Log {
  void info(std::string_view) override {}
  void warn(std::string_view) override {}
  void error(std::string_view) override {}
};

void append(const std::string& path, std::vector<Record> records) {
  Silent log;
  loop::Loop loop;
  Journal journal(loop, log, path, kBoot);
  journal.append(std::move(records), [&](bool ok) {
    CHECK(ok);
    loop.stop();
  });
  loop.run();
}

std::string state_of(const Journal::Loaded& loaded) {
  std::string text;
  for (const Record& r : loaded.records) text += std::to_string(r.id) + "=" + r.body.at("v").text() + " ";
  return text;
}

struct Recorded {
  std::vector<std::size_t> sizes;   // after each record
  std::vector<std::string> states;  // then
  std::string bytes;

  // The states that a file of which `good` bytes are whole may give.
  const std::string& state_at(std::size_t good) const {
    const auto next = std::upper_bound(sizes.begin(), sizes.end(), good);
    return states[static_cast<std::size_t>(next - sizes.begin())];
  }
};

// Starts, changes and deletes, a record a time.
Recorded recorded(const std::string& path) {
  Recorded r;
  r.states.emplace_back();
  const auto step = [&](uint32_t id, const char* value) {
    append(path, {value == nullptr ? Record{id, {}} : Record{id, Map{{"v", value}}}});
    r.bytes = read_text(path);
    r.sizes.push_back(r.bytes.size());
    auto loaded = Journal::load(path, kBoot);
    REQUIRE(loaded);
    r.states.push_back(state_of(*loaded));
  };
  step(0, "started");
  step(1, "started");
  step(0, "stopped");
  step(2, "a longer value than those before it, so that it takes more than one block of anything");
  step(1, nullptr);
  step(0, "started");
  return r;
}

void check(const std::string& path, const std::string& text, const std::string& expected) {
  write_text(path, text);
  const auto loaded = Journal::load(path, kBoot);
  REQUIRE_MESSAGE(loaded.has_value(), (loaded ? "" : loaded.error().message));
  CHECK(state_of(*loaded) == expected);
}

TEST_CASE("14: a journal cut at any byte gives the state of its whole records, and is written on") {
  const Folder folder;
  const std::string path = folder.file("journal"), cut = folder.file("cut");
  const Recorded r = recorded(path);
  for (std::size_t size = 0; size <= r.bytes.size(); ++size) {
    CAPTURE(size);
    const std::string& expected = r.state_at(size);
    check(cut, r.bytes.substr(0, size), expected);
    append(cut, {{9, Map{{"v", "new"}}}});
    const auto again = Journal::load(cut, kBoot);
    REQUIRE(again);
    CHECK(state_of(*again) == expected + "9=new ");
    CHECK(again->warning.empty());
  }
}

TEST_CASE("14: a journal whose last blocks are zeros, whole or cut, gives the state before them") {
  const Folder folder;
  const std::string path = folder.file("journal"), cut = folder.file("cut");
  const Recorded r = recorded(path);
  for (std::size_t from = kFileHeaderSize; from < r.bytes.size(); ++from) {
    CAPTURE(from);
    // The last byte before may be a zero of its own: what is whole is whole.
    std::string zeroed = r.bytes.substr(0, from) + std::string(r.bytes.size() - from, '\0');
    const auto same = static_cast<std::size_t>(
        std::mismatch(zeroed.begin(), zeroed.end(), r.bytes.begin()).first - zeroed.begin());
    check(cut, zeroed, r.state_at(same));
  }
  check(cut, std::string(r.bytes.size(), '\0'), "");
  check(cut, std::string(10, '\0'), "");
}

TEST_CASE("14: a hole of zeros anywhere is never taken for what was written") {
  const Folder folder;
  const std::string path = folder.file("journal"), cut = folder.file("cut");
  const Recorded r = recorded(path);
  for (std::size_t at = kFileHeaderSize; at < r.bytes.size(); at += 3) {
    CAPTURE(at);
    std::string holed = r.bytes;
    const std::size_t length = std::min<std::size_t>(16, holed.size() - at);
    holed.replace(at, length, length, '\0');
    const auto same = static_cast<std::size_t>(
        std::mismatch(holed.begin(), holed.end(), r.bytes.begin()).first - holed.begin());
    check(cut, holed, r.state_at(same));
  }
}

}  // namespace
}  // namespace tend::journal
