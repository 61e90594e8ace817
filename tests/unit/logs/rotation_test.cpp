#include "core/logs/rotation.h"

#include "fixture.h"

namespace tend::logs {
namespace {

constexpr Millis kNow{1'790'000'000'000};

std::string folder_of_one_log() {
  std::string name = "/tmp/tend-test-rotation-XXXXXX";
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  return name;
}

TEST_CASE("within one second a later file never has the name of a removed earlier one") {
  const std::string folder = folder_of_one_log(), log = folder + "/a-out.log";
  const RotationRules rules{.retain = 2, .compress = true};
  for (int n = 0; n < 14; ++n) {
    std::ofstream(log) << n;
    REQUIRE(put_aside(log, kNow));
    CHECK(std::filesystem::exists(rotated_name(log, kNow, n)));
    REQUIRE(tidy_rotated(log, rules));
  }
  CHECK(std::filesystem::exists(rotated_name(log, kNow, 12) + ".gz"));
  CHECK(std::filesystem::exists(rotated_name(log, kNow, 13) + ".gz"));
  CHECK(std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()) ==
        2);
  std::filesystem::remove_all(folder);
}

TEST_CASE("of files of one moment the lower number is the older") {
  const std::string folder = folder_of_one_log(), log = folder + "/a-out.log";
  for (int n = 8; n < 12; ++n) {
    const std::string name = rotated_name(log, kNow, n);
    std::ofstream(name) << n;
    const timespec same[2] = {{.tv_sec = 1'790'000'000, .tv_nsec = 0},
                              {.tv_sec = 1'790'000'000, .tv_nsec = 0}};
    REQUIRE(::utimensat(AT_FDCWD, name.c_str(), same, 0) == 0);
  }
  REQUIRE(tidy_rotated(log, RotationRules{.retain = 2}));
  CHECK_FALSE(std::filesystem::exists(rotated_name(log, kNow, 9)));
  CHECK(std::filesystem::exists(rotated_name(log, kNow, 10)));
  CHECK(std::filesystem::exists(rotated_name(log, kNow, 11)));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tend::logs
