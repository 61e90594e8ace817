// Which room may include which: the table as data, and every #include of the product read against it.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Room {
  std::string_view name;  // the folder, from the root
  std::string_view may;   // rooms whose headers it may include, itself aside
};

// ipc/ sees model for Value alone, the shape that RPC payloads have; the wire files below see nothing but
// base. Mechanisms do not know each other, nor the supervisor; the keeper's daemon knows base, its client the
// loop too.
constexpr Room kRooms[] = {
    {"core/base", ""},
    {"core/loop", "core/base"},
    {"ipc", "core/base core/loop core/model"},
    {"core/model", "core/base"},
    {"core/config", "core/base core/model"},
    {"core/lifecycle", "core/base core/model"},
    {"core/logs", "core/base core/loop core/lifecycle ipc"},
    {"core/tree", "core/base core/loop core/lifecycle ipc"},
    {"core/metrics", "core/base core/loop core/lifecycle ipc"},
    {"core/cluster", "core/base core/loop core/model"},
    {"core/autopsy", "core/base core/model ipc"},
    {"core/health", "core/base core/loop core/model core/lifecycle ipc"},
    {"core/watch", "core/base core/loop core/model"},
    {"core/journal", "core/base core/loop core/model core/lifecycle ipc"},
    {"core/preload", "core/base"},
    {"core/keeper", "core/base core/loop"},
    {"core/supervisor",
     "core/base core/loop ipc core/model core/config core/lifecycle core/logs core/tree core/metrics "
     "core/journal "
     "core/cluster core/health core/watch core/preload core/keeper"},
    {"cmd/probe", "core/base core/loop core/model core/health ipc"},
    {"cmd/serve", "core/base"},
    {"cmd", "core/base core/model core/config ipc"},
};

// Finer than a room: these files may also include that one header; those behind a wall nothing but those
// rooms.
struct Exception {
  std::string_view file;
  std::string_view header;
};
constexpr Exception kAllowed[] = {
    {"cmd/", "core/autopsy/main.h"},
    {"cmd/", "core/keeper/main.h"},
    {"cmd/", "core/supervisor/main.h"},
    {"cmd/", "core/tree/unit_room.h"},
    {"core/keeper/", "core/model/home.h"},  // names of files, no policy
};
struct Wall {
  std::string_view file;  // prefix
  std::string_view may;
};
constexpr Wall kWalls[] = {
    {"ipc/frame.", "ipc core/base"},
    {"ipc/crc32c.", "ipc core/base"},
    {"ipc/fd_passing_linux.", "ipc core/base"},
    {"core/keeper/main.", "core/keeper core/base"},
    {"core/keeper/requests.", "core/keeper core/base"},
    {"core/keeper/fd_table.", "core/keeper core/base"},
    {"core/keeper/spawn_linux.", "core/keeper core/base"},
    {"core/keeper/home_lock.", "core/keeper core/base"},
    {"core/keeper/protocol.", "core/keeper core/base"},
};

// Libraries: where their headers may stand. Those that cost seconds per unit stand in no header at all.
struct Library {
  std::string_view include;  // prefix of what stands between < and >
  std::string_view rooms;    // "*": every room
  bool in_headers;
};
constexpr Library kLibraries[] = {
    {"uv.h", "core/loop", true},
    {"nlohmann/", "ipc core/config core/journal cmd", false},
    {"CLI/", "cmd", false},
    {"curl/", "cmd/probe", false},
    {"microhttpd.h", "cmd/serve", false},
    {"spdlog/", "core/supervisor", false},
    {"fmt/", "core/supervisor cmd", false},
    {"yaml-cpp/", "core/config", false},
    {"iostream", "", false},  // its static initialisers are in every program that includes it
};

bool has_word(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const std::size_t blank = words.find(' ');
    if (words.substr(0, blank) == word) return true;
    if (blank == std::string_view::npos) return false;
    words.remove_prefix(blank + 1);
  }
  return false;
}

const Room* room_of(std::string_view path) {
  for (const Room& room : kRooms) {
    if (path.substr(0, room.name.size()) == room.name && path.substr(room.name.size(), 1) == "/")
      return &room;
  }
  return nullptr;
}

// "" when the arrow is listed, else what is wrong with it.
std::string judge(std::string_view file, std::string_view header) {
  const Room* from = room_of(file);
  const Room* to = room_of(header);
  if (from == nullptr) return "the file is in no room of the table";
  if (to == nullptr) return "the header is in no room of the table (includes start at the root)";
  for (const Exception& one : kAllowed) {
    if (file.substr(0, one.file.size()) == one.file && header == one.header) return "";
  }
  for (const Wall& wall : kWalls) {
    if (file.substr(0, wall.file.size()) == wall.file) {
      return has_word(wall.may, to->name) ? "" : "this file may include only " + std::string(wall.may);
    }
  }
  if (from == to || has_word(from->may, to->name)) return "";
  return std::string(from->name) + " may not include " + std::string(to->name);
}

std::string judge_library(std::string_view file, std::string_view include) {
  const Room* from = room_of(file);
  const bool header = file.substr(file.size() - 2) == ".h";
  for (const Library& library : kLibraries) {
    if (include.substr(0, library.include.size()) != library.include) continue;
    if (header && !library.in_headers) return "stands in .cpp files only";
    if (from == nullptr || !has_word(library.rooms, from->name))
      return "belongs to: " + std::string(library.rooms);
  }
  return "";
}

struct Include {
  std::string file, target;
  int line = 0;
  bool quoted = false;
};

std::vector<Include> read_includes(const fs::path& root) {
  std::vector<Include> found;
  for (const char* top : {"core", "ipc", "cmd"}) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / top)) {
      const std::string suffix = entry.path().extension().string();
      if (suffix != ".h" && suffix != ".cpp") continue;
      std::ifstream in(entry.path());
      std::string text;
      for (int line = 1; std::getline(in, text); ++line) {
        const std::size_t hash = text.find_first_not_of(" \t");
        if (hash == std::string::npos || text.compare(hash, 8, "#include") != 0) continue;
        const std::size_t open = text.find_first_of("\"<", hash + 8);
        if (open == std::string::npos) continue;
        const bool quoted = text[open] == '"';
        const std::size_t end = text.find(quoted ? '"' : '>', open + 1);
        found.push_back(
            {fs::relative(entry.path(), root).string(), text.substr(open + 1, end - open - 1), line, quoted});
      }
    }
  }
  return found;
}

}  // namespace

TEST_CASE("every include of the product is an arrow that the table lists") {
  const std::vector<Include> includes = read_includes(TEND_SOURCE_DIR);
  REQUIRE(includes.size() > 100);
  for (const Include& one : includes) {
    const std::string wrong = one.quoted ? judge(one.file, one.target) : judge_library(one.file, one.target);
    INFO(one.file << ":" << one.line << ": " << one.target << ": " << wrong);
    CHECK(wrong.empty());
  }
}

TEST_CASE("every header that is included in quotes exists") {
  for (const Include& one : read_includes(TEND_SOURCE_DIR)) {
    if (!one.quoted) continue;
    INFO(one.file << ":" << one.line << ": " << one.target);
    CHECK(fs::exists(fs::path(TEND_SOURCE_DIR) / one.target));
  }
}

TEST_CASE("every folder of core is a room of the table, so none escapes it") {
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(TEND_SOURCE_DIR) / "core")) {
    if (!entry.is_directory()) continue;
    const std::string name = "core/" + entry.path().filename().string();
    CAPTURE(name);
    CHECK(std::any_of(std::begin(kRooms), std::end(kRooms),
                      [&](const Room& room) { return room.name == name; }));
  }
}

TEST_CASE("the arrows have no circle") {
  // Rooms whose targets are all placed can be placed; a circle would leave some for ever.
  std::set<std::string_view> placed;
  for (std::size_t round = 0; round < std::size(kRooms); ++round) {
    for (const Room& room : kRooms) {
      const bool ready = std::all_of(std::begin(kRooms), std::end(kRooms), [&](const Room& other) {
        return !has_word(room.may, other.name) || placed.count(other.name) == 1;
      });
      if (ready) placed.insert(room.name);
    }
  }
  CHECK(placed.size() == std::size(kRooms));
}

TEST_CASE("the judge refuses what the table does not list") {
  CHECK(judge("core/lifecycle/cron.cpp", "core/model/value.h").empty());
  CHECK_FALSE(judge("core/lifecycle/cron.cpp", "core/loop/loop.h").empty());
  CHECK_FALSE(judge("core/logs/writer.cpp", "core/tree/process_tree.h").empty());
  CHECK_FALSE(judge("core/keeper/main.cpp", "core/loop/loop.h").empty());
  CHECK(judge("core/keeper/client.cpp", "core/loop/loop.h").empty());
  CHECK_FALSE(judge("ipc/frame.cpp", "core/model/value.h").empty());
  CHECK(judge("cmd/tend/main.cpp", "core/keeper/main.h").empty());
  CHECK_FALSE(judge("cmd/tend/main.cpp", "core/keeper/client.h").empty());
  CHECK_FALSE(judge_library("core/model/value.h", "nlohmann/json.hpp").empty());
  CHECK_FALSE(judge_library("core/tree/walk_linux.cpp", "uv.h").empty());
}
