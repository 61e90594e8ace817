// Files that PM2 refuses wholly or in part, with its words, and what tend says of them under its own name.
#include "core/model/words.h"
#include "tests/unit/config/support.h"

using namespace tend;
using namespace tend::config;

namespace {

const std::string kRoot = TEND_FIXTURES;
const char* const kFiles[] = {
    "bad-cron.config.js",    "bad-escape.json",          "default-only.config.mjs",
    "memory-unit.config.js", "missing-script.config.js", "misspelt-script.config.js",
    "number-name.yml",       "string-bool.config.js",    "time-unit.config.js"};

std::string own(const std::string& name) {
  const Loaded loaded = load_file("rejects/" + name, caller(kRoot, false));
  CHECK((loaded.failed ? loaded.apps.empty() : !loaded.apps.empty()));
  return messages(loaded);
}

}  // namespace

TEST_CASE("PM2's refusals come in its words and start what it starts") {
  const Value expected = parse_file("expected.json", caller(kRoot, false)).value();
  for (const std::string name : kFiles) {
    CAPTURE(name);
    const Value& want = expected.at("rejects/" + name);
    const Loaded loaded = load_file("rejects/" + name, caller(kRoot, true));
    CHECK(loaded.failed);
    CHECK(loaded.apps.size() == want.at("processes").list().size());
    std::string texts, wanted;
    for (const Problem& p : loaded.problems) {
      // PM2's own trace stands below the line.
      if (p.fatal && !p.pm2_text.empty()) texts += p.pm2_text.substr(0, p.pm2_text.find('\n')) + '\n';
    }
    for (const Value& message : want.at("messages").list()) {
      std::string text = message.text().substr(message.text().find("] ") + 2);
      if (const auto root = text.find("./apps"); root != std::string::npos) text.replace(root, 1, kRoot);
      wanted += text + '\n';
    }
    CHECK(texts == wanted);
  }
}

TEST_CASE("tend takes what it can understand and refuses the rest by file, app, field and value") {
  CHECK(own("memory-unit.config.js") == "");
  CHECK(own("time-unit.config.js") == "");
  CHECK(own("number-name.yml") == "");
  CHECK(own("default-only.config.mjs") == "");
  CHECK(own("string-bool.config.js") == "");
  CHECK(own("bad-cron.config.js")
            .starts_with("! rejects/bad-cron.config.js: app \"fx-r\": cron_restart: found "));
  CHECK(own("bad-escape.json").starts_with("! rejects/bad-escape.json:1:"));
  CHECK(own("missing-script.config.js") ==
        "! rejects/missing-script.config.js: app \"fx-r\": script: found " + kRoot +
            "/apps/not-there.js, which is no file nor a program in PATH\n");
  CHECK(own("misspelt-script.config.js") ==
        "? rejects/misspelt-script.config.js: app \"fx-r\": scripts: unknown field; nearest: script\n"
        "! rejects/misspelt-script.config.js: app \"fx-r\": script: not given\n");
}
