#include "cmd/render/metrics.h"

#include <cstdio>

#include "cmd/render/inspect.h"
#include "core/base/text.h"

namespace tend::render {
namespace {

std::string two_digits(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

Map metric(Value value, std::string_view unit, std::string_view type) {
  Map m{{"historic", true}, {"type", type}, {"value", std::move(value)}};
  if (!unit.empty()) m.append("unit", unit);
  return m;
}

std::string text_of(const Value& v) { return printable(v.is<std::string>() ? v.text() : inspect(v)); }

// "5.69 MiB"; an app may also have said the bare value.
std::string shown(const Value& m) {
  if (!m.is<Map>()) return text_of(m);
  const std::string value = m.at("value").is_null() ? "N/A" : text_of(m.at("value"));
  const std::string& unit = m.at("unit").text();
  return unit.empty() ? value : value + " " + printable(unit);
}

std::string titled(const Page& page, std::string_view title, Table table) {
  for (auto& row : table.rows) row.resize(table.columns.size());
  return paint(Ink::inverse, title, page.colour) + "\n" + draw(table, page.colour);
}

}  // namespace

Map metrics_of(const Value& row) {
  Map metrics = row.at("axm_monitor").map();
  const auto add = [&](std::string_view name, Map m) {
    if (metrics.find(name) == nullptr) metrics.append(std::string(name), std::move(m));
  };
  const Value& health = row.at("health");
  if (health.map().find("heap") != nullptr) {
    const double mib = static_cast<double>(health.at("heap").integer()) / (1 << 20);
    add("Used Heap Size", metric(two_digits(mib), "MiB", "internal/v8/heap/used"));
    add("Active handles", metric(health.at("handles").integer(), "", "internal/libuv/handles"));
  }
  if (health.map().find("lag_us") != nullptr) {
    const double ms = static_cast<double>(health.at("lag_us").integer()) / 1000;
    add("Event Loop Latency", metric(two_digits(ms), "ms", "internal/libuv/latency"));
  }
  return metrics;
}

std::string announced(const Value& row, const Page& page) {
  std::string out;
  const std::string name = printable(row.at("name").text());
  Table actions;
  actions.columns.resize(1);
  for (const Value& action : row.at("axm_actions").list())
    actions.rows.push_back({{printable(action.at("action_name").text()), Ink::bold}});
  if (!actions.rows.empty()) {
    out += titled(page, page.pm2 ? " Actions available " : " Actions ", std::move(actions));
    out += page.pm2 ? " Trigger via: pm2 trigger " + name + " <action_name>\n\n"
                    : " tend trigger " + name + " <action> [parameter]\n";
  }
  // Under tend the box above has what the heartbeats tell.
  Table metrics;
  metrics.columns.resize(2);
  for (const auto& [key, m] : page.pm2 ? metrics_of(row) : row.at("axm_monitor").map())
    metrics.rows.push_back({{printable(key), Ink::bold}, {shown(m)}});
  if (!metrics.rows.empty())
    out += titled(page, page.pm2 ? " Code metrics value " : " Metrics ", std::move(metrics));
  return out;
}

}  // namespace tend::render
