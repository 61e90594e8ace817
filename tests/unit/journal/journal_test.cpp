#include "core/journal/journal.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <span>
#include <string>
#include <vector>

#include "core/journal/record.h"
#include "core/loop/timer.h"
#include "ipc/frame.h"
#include "tests/unit/journal/folder.h"

namespace tend::journal {
namespace {

const std::string kBoot = "2f5a9b1e-0000-4000-8000-000000000001";
const std::string kOtherBoot = "2f5a9b1e-0000-4000-8000-000000000002";

struct Lines : Log {
  void info(std::string_view) override {}
  void warn(std::string_view line) override { warnings.emplace_back(line); }
  void error(std::string_view line) override { errors.emplace_back(line); }
  std::vector<std::string> warnings, errors;
};

Record put(uint32_t id, const std::string& name) { return {id, Map{{"name", name}}}; }

// Appends each batch and runs the loop until all are answered.
std::vector<bool> write(const std::string& path, const std::vector<std::vector<Record>>& batches,
                        const std::string& boot = kBoot, Lines* log = nullptr) {
  Lines own;
  loop::Loop loop;
  std::vector<bool> answers;
  Journal journal(loop, log ? *log : own, path, boot);
  for (const auto& batch : batches) {
    journal.append(batch, [&](bool ok) {
      answers.push_back(ok);
      if (answers.size() == batches.size()) loop.stop();
    });
  }
  loop.run();
  return answers;
}

Journal::Loaded read(const std::string& path, const std::string& boot = kBoot) {
  auto loaded = Journal::load(path, boot);
  REQUIRE_MESSAGE(loaded.has_value(), (loaded ? "" : loaded.error().message));
  return std::move(*loaded);
}

std::string names(const Journal::Loaded& loaded) {
  std::string text;
  for (const Record& r : loaded.records) text += std::to_string(r.id) + r.body.at("name").text() + " ";
  return text;
}

TEST_CASE("no file is an empty journal of this boot") {
  const Folder folder;
  const auto loaded = read(folder.file("journal"));
  CHECK(loaded.records.empty());
  CHECK(loaded.next_id == 0);
  CHECK(loaded.same_boot);
  CHECK(loaded.warning.empty());
}

TEST_CASE("the last body of each id is read back, deleted ones are not") {
  const Folder folder;
  const std::string path = folder.file("journal");
  CHECK(write(path, {{put(0, "a"), put(1, "b")}, {put(2, "c")}, {put(0, "z")}, {{1, {}}}}) ==
        std::vector<bool>{true, true, true, true});
  CHECK(names(read(path)) == "0z 2c ");
  CHECK(write(path, {{put(1, "again")}}) == std::vector<bool>{true});
  CHECK(names(read(path)) == "0z 1again 2c ");
  CHECK(mode_of(path) == 0600);
  CHECK(folder.count() == 1);
}

TEST_CASE("ids are not used again while any exists, and from 0 when none does") {
  const Folder folder;
  const std::string path = folder.file("journal");
  write(path, {{put(3, "a"), put(7, "b")}, {{7, {}}}});
  CHECK(read(path).next_id == 8);
  write(path, {{{3, {}}}});
  CHECK(read(path).next_id == 0);
}

TEST_CASE("a tail torn at any byte costs only the torn record, and the next append cuts it off") {
  const Folder folder;
  const std::string path = folder.file("journal");
  write(path, {{put(0, "a"), put(1, "b")}});
  const std::string two = read_text(path);
  write(path, {{put(2, "c")}});
  const std::string three = read_text(path);
  REQUIRE(three.size() > two.size());
  for (std::size_t size = two.size() + 1; size < three.size(); ++size) {
    CAPTURE(size);
    write_text(path, three.substr(0, size));
    const auto loaded = read(path);
    CHECK(names(loaded) == "0a 1b ");
    CHECK(!loaded.warning.empty());
    Lines log;
    write(path, {{put(4, "d")}}, kBoot, &log);
    CHECK(log.warnings.size() == 1);
    CHECK(names(read(path)) == "0a 1b 4d ");
    CHECK(read(path).warning.empty());
  }
}

TEST_CASE("any flipped bit is noticed: an error, or a warning and only true records") {
  const Folder folder;
  const std::string path = folder.file("journal");
  write(path, {{put(0, "a"), put(1, "b"), put(2, "c")}});
  const std::string good = read_text(path);
  const std::string whole = "0a 1b 2c ";
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    CAPTURE(bit);
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    write_text(path, bad);
    const auto loaded = Journal::load(path, kBoot);
    if (!loaded) continue;
    CHECK(!loaded->warning.empty());
    CHECK(whole.compare(0, names(*loaded).size(), names(*loaded)) == 0);
    if (bit >= kFileHeaderSize * 8) CHECK(names(*loaded).size() < whole.size());
  }
}

TEST_CASE("a zeroed tail, as a crashed file system leaves it, is damage and no record") {
  const Folder folder;
  const std::string path = folder.file("journal");
  write(path, {{put(0, "a")}});
  write_text(path, read_text(path) + std::string(4096, '\0'));
  const auto loaded = read(path);
  CHECK(names(loaded) == "0a ");
  CHECK(!loaded.warning.empty());
}

TEST_CASE("a file that is no journal, of a newer version or with an unknown kind is refused and left alone") {
  const Folder folder;
  const std::string path = folder.file("journal");
  std::string kind;
  REQUIRE(encode_record(put(1, "x"), kind));
  kind[12] = 9;  // with its true checksum, so that only the kind is wrong
  std::string newer = encode_file_header(kBoot);
  newer[8] = 2;
  const auto seal = [](std::string& bytes, std::size_t at, std::size_t from) {
    const uint32_t crc = ipc::crc32c(std::as_bytes(std::span(bytes).subspan(from)));
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(crc >> (8 * i) & 0xff);
  };
  seal(kind, 4, 8);
  newer.replace(12, 4, 4, '\0');
  seal(newer, 12, 0);
  for (const std::string& text :
       {std::string("my diary"), std::string(200, 'x'), newer, encode_file_header(kBoot) + kind}) {
    write_text(path, text);
    CHECK(!Journal::load(path, kBoot).has_value());
    Lines log;
    CHECK(write(path, {{put(0, "a")}}, kBoot, &log) == std::vector<bool>{false});
    CHECK(read_text(path) == text);
  }
}

TEST_CASE("a link in the journal's place is not followed") {
  const Folder folder;
  const std::string path = folder.file("journal");
  write(folder.file("elsewhere"), {{put(0, "a")}});
  std::filesystem::create_symlink(folder.file("elsewhere"), path);
  CHECK(!Journal::load(path, kBoot).has_value());
}

TEST_CASE("another boot's records are returned as such and gone after the first append") {
  const Folder folder;
  const std::string path = folder.file("journal");
  write(path, {{put(0, "a"), put(1, "b")}});
  const auto loaded = read(path, kOtherBoot);
  CHECK(!loaded.same_boot);
  CHECK(names(loaded) == "0a 1b ");
  write(path, {{put(5, "new")}}, kOtherBoot);
  CHECK(names(read(path, kOtherBoot)) == "5new ");
  CHECK(read(path, kOtherBoot).same_boot);
}

TEST_CASE("answers come in the order of the appends, never within append") {
  const Folder folder;
  Lines log;
  loop::Loop loop;
  Journal journal(loop, log, folder.file("journal"), kBoot);
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    journal.append({put(static_cast<uint32_t>(i), "x")}, [&, i](bool ok) {
      CHECK(ok);
      order.push_back(i);
      if (i == 99) loop.stop();
    });
    CHECK(order.empty());
  }
  loop.run();
  REQUIRE(order.size() == 100);
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(read(folder.file("journal")).records.size() == 100);
}

TEST_CASE("a journal that is dropped writes what was appended and calls nobody") {
  const Folder folder;
  Lines log;
  loop::Loop loop;
  int calls = 0;
  {
    Journal journal(loop, log, folder.file("journal"), kBoot);
    for (uint32_t i = 0; i < 5; ++i) journal.append({put(i, "x")}, [&](bool) { ++calls; });
  }
  loop.run();
  CHECK(calls == 0);
  CHECK(read(folder.file("journal")).records.size() == 5);
}

TEST_CASE("a file grown far above what lives is compacted, with the highest id kept") {
  const Folder folder;
  const std::string path = folder.file("journal");
  write(path, {{put(1, "keeps"), put(9, "goes")}, {{9, {}}}});
  Lines log;
  loop::Loop loop;
  Journal journal(loop, log, path, kBoot);
  const std::string big(20000, 'x');
  int left = 160;  // 3 MB
  uintmax_t largest = 0;
  std::function<void(bool)> next = [&](bool ok) {
    CHECK(ok);
    largest = std::max(largest, std::filesystem::file_size(path));
    if (--left == 0) return loop.stop();
    journal.append({put(2, left == 1 ? "small" : big)}, next);
  };
  journal.append({put(2, big)}, next);
  loop.run();
  CHECK(largest > 1000000);
  CHECK(largest < 1100000);
  CHECK(names(read(path)) == "1keeps 2small ");
  CHECK(read(path).next_id == 10);
  CHECK(mode_of(path) == 0600);
  CHECK(folder.count() == 1);
}

TEST_CASE(
    "a disk that refuses is told once per append, what was half written is cut, and the retry writes all") {
  const Folder folder;
  const std::string path = folder.file("journal");
  write(path, {{put(0, "a")}});
  const auto before = std::filesystem::file_size(path);

  std::signal(SIGXFSZ, SIG_IGN);
  rlimit former{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &former) == 0);
  const rlimit tight{before + 10, former.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);

  Lines log;
  loop::Loop loop;
  Journal journal(loop, log, path, kBoot);
  std::string answers;
  const auto note = [&](const char* who) {
    return [&answers, who](bool ok) { answers += std::string(who) + (ok ? "+" : "-"); };
  };
  loop::Timer poll(loop, [&] {
    if (journal.durable()) return loop.stop();
    poll.start(Millis{20});
  });
  journal.append({put(1, "b")}, [&](bool ok) {
    note("1")(ok);
    CHECK(!journal.durable());
    CHECK(std::filesystem::file_size(path) == before);
    journal.append({put(2, "c")}, [&](bool later) {
      note("2")(later);
      REQUIRE(::setrlimit(RLIMIT_FSIZE, &former) == 0);
      poll.start(Millis{20});
    });
  });
  journal.append({put(1, "newer")}, note("x"));  // queued behind the write in flight
  loop.run();
  ::setrlimit(RLIMIT_FSIZE, &former);
  CHECK(answers == "1-x-2-");
  CHECK(log.errors.size() == 1);
  CHECK(names(read(path)) == "0a 1newer 2c ");
}

TEST_CASE("the boot id is this machine's") {
  CHECK(current_boot_id().size() == 36);
  CHECK(current_boot_id() == current_boot_id());
}

}  // namespace
}  // namespace tend::journal
