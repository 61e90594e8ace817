// Files of apps: whatever stands in one, reading it ends, and what is read keeps the promises of the option
// table. The first byte chooses the format and the name of the program. A broken promise aborts.
#include <cstdint>
#include <cstdlib>

#include "core/config/parts.h"
#include "core/model/options.h"

using namespace tend;
using namespace tend::config;

namespace {

void expect(bool promise) {
  if (!promise) std::abort();
}

int depth_of(const Value& v) {
  int deepest = 0;
  for (const Value& item : v.list()) deepest = std::max(deepest, depth_of(item));
  for (const auto& [key, item] : v.map()) deepest = std::max(deepest, depth_of(item));
  return deepest + 1;
}

void read_apps(const Document& document, bool pm2) {
  const auto entries = app_entries(document, pm2);
  if (!entries) return expect(!entries.error().message.empty());
  Context context;
  context.cwd = "/srv";
  context.user_home = "/home/u";
  context.home = {"/home/u/.tend", pm2};
  context.cpus = 4;
  context.pm2 = pm2;
  context.env_name = "production";
  for (const Entry& entry : *entries) {
    expect(entry.app != nullptr);
    if (pm2 && entry.app->is<Map>()) (void)pm2_violations(entry.app->map());
    std::vector<Problem> problems;
    const AppSpec spec = read_app(entry, document, "fuzz", context, problems);
    for (const Problem& p : problems) expect(!p.message.empty() && p.message.find('\n') == std::string::npos);
    // One form for the daemon, the journal and the dump: what is read back is what was written.
    const Value whole = to_value(spec);
    const auto again = spec_from_value(whole);
    expect(again.has_value());
    expect(to_value(*again) == whole);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool yaml = (data[0] & 1) != 0, pm2 = (data[0] & 2) != 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto document = yaml ? parse_yaml(text, "fuzz") : parse_lax_json(text, "fuzz");
  if (!document) {
    const std::string& message = document.error().message;
    expect(message.starts_with("fuzz") && message.find('\n') == std::string::npos);
    return 0;
  }
  expect(depth_of(document->root) <= kDeepest + 2);
  read_apps(*document, pm2);
  return 0;
}
