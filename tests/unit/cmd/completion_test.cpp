#include <doctest/doctest.h>

#include <algorithm>

#include "cmd/tend/completion.h"

namespace tend::cli {
namespace {

const std::vector<std::string> kApps{"api", "worker"};

bool offers(const std::vector<std::string>& words, const std::string& text) {
  const auto c = complete_words(words, kApps);
  return std::any_of(c.candidates.begin(), c.candidates.end(), [&](const auto& x) { return x.text == text; });
}

TEST_CASE("the first word is a command, by name or alias, and only one that begins so") {
  CHECK(offers({""}, "start"));
  CHECK(offers({"rel"}, "reload"));
  CHECK_FALSE(offers({"rel"}, "start"));
  CHECK(offers({"del"}, "delete"));
  CHECK_FALSE(offers({"lin"}, "link"));  // PM2's company service is not offered
}

TEST_CASE("behind a command that takes apps stand their names and all") {
  CHECK(offers({"restart", ""}, "api"));
  CHECK(offers({"restart", "wo"}, "worker"));
  CHECK(offers({"stop", "api", ""}, "all"));
  CHECK_FALSE(offers({"ping", ""}, "api"));
  CHECK(complete_words({"start", ""}, kApps).files);
  CHECK_FALSE(complete_words({"ping", ""}, kApps).files);
}

TEST_CASE("flags are offered everywhere, their words where they have some") {
  CHECK(offers({"start", "app.js", "--max-mem"}, "--max-memory-restart"));
  CHECK(offers({"start", "--exec-mode", "cl"}, "cluster"));
  CHECK_FALSE(offers({"start", "--exec-mode", "cl"}, "fork"));
  CHECK(complete_words({"start", "--cwd", ""}, kApps).files);
  CHECK(offers({"--sort", "name", "re"}, "restart"));  // a flag's value is no command
}

TEST_CASE("behind -- come files only") {
  const auto c = complete_words({"start", "app.js", "--", "-"}, kApps);
  CHECK(c.candidates.empty());
  CHECK(c.files);
}

TEST_CASE("a script names its program everywhere and leaves the shells' own signs alone") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string text = completion_script(shell, "pm2");
    CAPTURE(text);
    CHECK(text.find("pm2 __complete") != std::string::npos);
    CHECK(text.find("TEND") == std::string::npos);
  }
  CHECK(completion_script("bash", "tend").find("${COMP_WORDS[@]:1:COMP_CWORD}") != std::string::npos);
  CHECK(completion_script("csh", "tend").empty());
}

}  // namespace
}  // namespace tend::cli
