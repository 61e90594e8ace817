#include "cmd/render/describe.h"

#include "cmd/render/humane.h"
#include "cmd/render/mask.h"
#include "cmd/render/metrics.h"
#include "core/base/text.h"
#include "core/model/options.h"

namespace tend::render {
namespace {

class Box {
 public:
  void add(std::string_view label, std::string_view value, Ink ink = Ink::none) {
    table_.rows.push_back({{printable(label), Ink::bold}, {value.empty() ? "N/A" : printable(value), ink}});
  }
  void add_if(std::string_view label, std::string_view value) {
    if (!value.empty()) add(label, value);
  }
  std::string draw(bool colour) {
    table_.columns.resize(2);
    return render::draw(table_, colour);
  }

 private:
  Table table_;
};

std::string joined(const StringList& words) {
  std::string out;
  for (const auto& w : words) out += (out.empty() ? "" : " ") + w;
  return out;
}

const std::string* variable(const Value& row, std::string_view key) {
  for (const char* source : {"env", "base_env"}) {
    const Value* found = row.at(source).map().find(key);
    if (found != nullptr && found->is<std::string>()) return found->as<std::string>();
  }
  return nullptr;
}

std::string when(const Value& v) { return v.integer() > 0 ? iso_text(Millis{v.integer()}) : std::string(); }

// What its heartbeats say, and how often they had it ended.
void add_health(Box& box, const Value& row) {
  const Value& health = row.at("health");
  box.add_if("health", health.at("word").text());
  box.add_if("last probe", health.at("probe").text());
  if (const int64_t lag = health.at("lag_us").integer(); lag > 0)
    box.add("event loop lag", lag < 1000 ? std::to_string(lag) + "us" : show(Millis{lag / 1000}));
  if (health.map().find("heap") != nullptr) {
    box.add("heap used", memory_text(health.at("heap").integer()));
    box.add("active handles", std::to_string(health.at("handles").integer()));
  }
  std::string packets;
  for (const auto& [marker, count] : health.at("packets").map()) {
    if (count.integer() > 0)
      packets += (packets.empty() ? "" : ", ") + std::to_string(count.integer()) + " " + marker;
  }
  box.add_if("heartbeat packets", packets);
  if (const int64_t hangs = row.at("hangs").integer(); hangs > 0)
    box.add("ended as hung", std::to_string(hangs), Ink::yellow);
}

// What only tend knows: why the process is where it is, and each limit that was set.
void add_more(Box& box, const Value& row, const AppSpec& spec) {
  box.add_if("status text", row.at("status_text").text());
  box.add_if("says it is", row.at("notified").text());
  const Value& cause = row.at("cause");
  std::string text = cause.at("text").text().empty() ? cause.at("kind").text() : cause.at("text").text();
  if (const std::string at = when(cause.at("at")); !text.empty() && !at.empty()) text += " at " + at;
  box.add_if("last cause", text);
  const Value& signal = row.at("exit_signal");
  if (!signal.text().empty()) {
    box.add("last exit", "signal " + signal.text());
  } else if (signal.integer() > 0) {
    box.add("last exit", "signal " + std::to_string(signal.integer()));
  } else if (!row.at("exit_code").is_null()) {
    box.add("last exit", "code " + std::to_string(row.at("exit_code").integer()));
  }
  box.add_if("last words", row.at("last_words").text());
  if (const int64_t delay = row.at("restart_delay").integer(); delay > 0)
    box.add("next restart after", show(Millis{delay}));
  box.add_if("started by", row.at("started_by").text());
  for (const OptionRow& option : options()) {
    if (!spec.given[index_of(option)]) continue;
    const bool limit = std::holds_alternative<Millis AppSpec::*>(option.slot) ||
                       std::holds_alternative<Bytes AppSpec::*>(option.slot) ||
                       std::holds_alternative<int64_t AppSpec::*>(option.slot) ||
                       std::holds_alternative<IntList AppSpec::*>(option.slot) || option.key == "limit_cpu" ||
                       option.key == "no_new_privs";
    if (limit && option.key != "max_memory_restart") box.add(option.key, show(spec, option));
  }
  if (const std::string& missing = row.at("not_enforced").text(); !missing.empty())
    box.add("limits", missing, Ink::yellow);
  add_health(box, row);
  if (const int64_t dropped = row.at("dropped").integer(); dropped > 0)
    box.add("log bytes lost", std::to_string(dropped), Ink::yellow);
}

}  // namespace

std::string describe(const Value& row, const AppSpec& spec, const Page& page, bool show_secrets) {
  const std::string& status = row.at("status").text();
  Box box;
  box.add("status", status, ink_of_status(status));
  box.add("name", row.at("name").text());
  box.add("namespace", row.at("namespace").text());
  box.add("version", row.at("version").text());
  box.add("restarts", std::to_string(row.at("restarts").integer()));
  if (spec.max_memory_restart.n > 0) {
    box.add("max memory restart",
            page.pm2 ? std::to_string(spec.max_memory_restart.n) : show(spec.max_memory_restart));
  }
  box.add_if("cron restart", spec.cron_restart);
  box.add("uptime", uptime_of(row, page.now));
  box.add_if("entire log path", row.at("log").text());
  box.add("script path", spec.script.empty() ? row.at("script").text() : spec.script);
  box.add("script args", joined(show_secrets ? spec.args : masked_words(spec.args)));
  box.add("error log path", row.at("error").text());
  box.add("out log path", row.at("out").text());
  box.add("pid path", row.at("pid_path").text());
  box.add("interpreter", spec.interpreter);
  box.add("interpreter args", joined(show_secrets ? spec.node_args : masked_words(spec.node_args)));
  box.add("script id", std::to_string(row.at("id").integer()));
  box.add("exec cwd", spec.cwd);
  box.add("exec mode", row.at("mode").text() + "_mode");
  box.add("node.js version", row.at("node_version").text());
  const std::string* node_env = variable(row, "NODE_ENV");
  box.add("node env", node_env == nullptr ? "" : *node_env);
  box.add("watch & reload", row.at("watching").boolean() ? "✔" : "✘",
          row.at("watching").boolean() ? Ink::green : Ink::red);
  box.add("unstable restarts", std::to_string(row.at("unstable").integer()));
  box.add("created at", when(row.at("created")));
  if (!page.pm2) add_more(box, row, spec);
  std::string out = paint(Ink::inverse,
                          " Describing process with id " + std::to_string(row.at("id").integer()) +
                              " - name " + printable(row.at("name").text()) + " ",
                          page.colour) +
                    "\n" + box.draw(page.colour) + announced(row, page);
  if (page.pm2 || row.at("env").map().empty()) return out;
  Box env;
  for (const auto& [key, value] : row.at("env").map())
    env.add(key, show_secrets ? value.text() : masked(key, value.text()));
  return out + paint(Ink::inverse, " Environment from its file ", page.colour) + "\n" + env.draw(page.colour);
}

}  // namespace tend::render
