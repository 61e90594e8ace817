#include "cmd/render/apps_table.h"

#include <algorithm>

#include "cmd/render/humane.h"
#include "cmd/render/width.h"
#include "core/base/text.h"
#include "core/model/api.h"

namespace tend::render {
namespace {

struct Field {
  std::string_view title;
  std::size_t width;  // of PM2's layout; 0: by content
  Cell (*cell)(const Value& row, const Page& page);
};

Cell id_cell(const Value& r, const Page&) { return {std::to_string(r.at("id").integer()), Ink::bold_cyan}; }
Cell name_cell(const Value& r, const Page&) { return {printable(r.at("name").text()), Ink::bold}; }
Cell namespace_cell(const Value& r, const Page&) { return {printable(r.at("namespace").text())}; }
Cell version_cell(const Value& r, const Page&) {
  const std::string& version = r.at("version").text();
  return {version.empty() ? "N/A" : printable(version)};
}
Cell mode_cell(const Value& r, const Page&) {
  const std::string& mode = r.at("mode").text();
  return {printable(mode), mode == "cluster" ? Ink::bold_blue : Ink::bold};
}
Cell pid_cell(const Value& r, const Page&) { return {std::to_string(r.at("pid").integer())}; }
Cell uptime_cell(const Value& r, const Page& page) { return {uptime_of(r, page.now)}; }
Cell restarts_cell(const Value& r, const Page&) { return {std::to_string(r.at("restarts").integer())}; }
Cell status_cell(const Value& r, const Page&) {
  const std::string& status = r.at("status").text();
  const int64_t percent = r.at("canary").integer();
  const bool tried = percent > 0 && api::is_online(status);
  return {tried ? "canary " + std::to_string(percent) + "%" : printable(status), ink_of_status(status)};
}
Cell cpu_cell(const Value& r, const Page&) { return {cpu_text(r.at("cpu").number()), Ink::bold}; }
Cell memory_cell(const Value& r, const Page&) { return {memory_text(r.at("memory").integer()), Ink::bold}; }
Cell user_cell(const Value& r, const Page&) { return {printable(r.at("user").text()), Ink::bold}; }
Cell health_cell(const Value& r, const Page&) {
  const std::string& word = r.at("health").at("word").text();
  if (word.empty()) return {"–", Ink::grey};
  if (word == "ok") return {word, Ink::green};
  return {printable(word), word.starts_with("late") ? Ink::yellow : Ink::bold_red};
}
Cell watching_cell(const Value& r, const Page&) {
  const bool on = r.at("watching").boolean();
  return {on ? "enabled" : "disabled", on ? Ink::bold_green : Ink::grey};
}

constexpr std::size_t kName = 1;  // the column that gives way

Table build(const List& rows, const Page& page, std::initializer_list<Field> fields) {
  Table table;
  for (const Field& f : fields) table.columns.push_back({std::string(f.title), f.width});
  for (const Value& row : rows) {
    std::vector<Cell> cells;
    for (const Field& f : fields) cells.push_back(f.cell(row, page));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::size_t longest_name(const List& rows) {
  std::size_t longest = 0;
  for (const Value& row : rows) longest = std::max(longest, display_width(printable(row.at("name").text())));
  return longest;
}

Table pm2_table(const List& rows, const Page& page) {
  // PM2 gives an empty table a name of six.
  const std::size_t name = rows.empty() ? 6 : longest_name(rows);
  std::size_t id = 4;
  for (const Value& row : rows) id = std::max(id, std::to_string(row.at("id").integer()).size() + 2);
  const std::size_t full_name = std::min<std::size_t>(name + 5, 40);
  if (page.width >= 124 + full_name) {
    return build(rows, page,
                 {{"id", id, id_cell},
                  {"name", std::max<std::size_t>(full_name, 6), name_cell},
                  {"namespace", 13, namespace_cell},
                  {"version", 9, version_cell},
                  {"mode", 9, mode_cell},
                  {"pid", 10, pid_cell},
                  {"uptime", 8, uptime_cell},
                  {"↺", 6, restarts_cell},
                  {"status", 11, status_cell},
                  {"cpu", 10, cpu_cell},
                  {"mem", 10, memory_cell},
                  {"user", 10, user_cell},
                  {"watching", 10, watching_cell}});
  }
  const std::size_t short_name = std::min<std::size_t>(name + 5, 20);
  if (page.width >= 59 + short_name) {
    return build(rows, page,
                 {{"id", id, id_cell},
                  {"name", std::max<std::size_t>(short_name, 6), name_cell},
                  {"mode", 10, mode_cell},
                  {"↺", 6, restarts_cell},
                  {"status", 11, status_cell},
                  {"cpu", 10, cpu_cell},
                  {"memory", 10, memory_cell}});
  }
  return build(rows, page,
               {{"id", id, id_cell},
                {"name", std::clamp<std::size_t>(name + 2, 6, 16), name_cell},
                {"status", 11, status_cell},
                {"cpu", 8, cpu_cell},
                {"mem", 10, memory_cell}});
}

void drop_column(Table& table, std::string_view title) {
  const auto found = std::find_if(table.columns.begin(), table.columns.end(),
                                  [&](const Column& c) { return c.title == title; });
  if (found == table.columns.end()) return;
  const auto at = found - table.columns.begin();
  table.columns.erase(found);
  for (auto& row : table.rows) row.erase(row.begin() + at);
}

Table tend_table(const List& rows, const Page& page) {
  Table table = build(rows, page,
                      {{"id", 0, id_cell},
                       {"name", 0, name_cell},
                       {"namespace", 0, namespace_cell},
                       {"version", 0, version_cell},
                       {"mode", 0, mode_cell},
                       {"pid", 0, pid_cell},
                       {"uptime", 0, uptime_cell},
                       {"↺", 0, restarts_cell},
                       {"status", 0, status_cell},
                       {"health", 0, health_cell},
                       {"cpu", 0, cpu_cell},
                       {"mem", 0, memory_cell},
                       {"user", 0, user_cell},
                       {"watching", 0, watching_cell}});
  // Too narrow: the name gives way down to 12, then columns go, the least asked for first.
  for (const std::string_view victim :
       {"watching", "version", "namespace", "user", "mode", "pid", "↺", "cpu", "uptime", "health"}) {
    if (width_of(table) <= page.width) return table;
    const std::size_t over = width_of(table) - page.width;
    const std::size_t name = std::max<std::size_t>(longest_name(rows), 4) + 2;
    if (name >= over + 14) {
      table.columns[kName].width = name - over;
      return table;
    }
    drop_column(table, victim);
  }
  const std::size_t width = width_of(table);
  if (width > page.width) {
    const std::size_t name = std::max<std::size_t>(longest_name(rows), 4) + 2;
    table.columns[kName].width = std::max<std::size_t>(6, name - std::min(name, width - page.width));
  }
  return table;
}

}  // namespace

Ink ink_of_status(std::string_view status) {
  if (api::is_online(status)) return Ink::bold_green;
  return status == "launching" ? Ink::bold_blue : Ink::bold_red;
}

std::string uptime_of(const Value& row, Millis now) {
  if (!api::is_online(row.at("status").text())) return "0";
  return uptime_text(now - Millis{row.at("uptime").integer()});
}

void sort_rows(List& rows, std::string_view order) {
  const std::size_t colon = order.find(':');
  std::string key(order.substr(0, colon));
  const bool descending = colon != std::string_view::npos && order.substr(colon + 1) == "desc";
  if (key == "pm_id") key = "id";
  const auto before = [&](const Value& a, const Value& b) {
    const Value& x = a.at(key);
    const Value& y = b.at(key);
    if (x.is<std::string>() && y.is<std::string>()) return x.text() < y.text();
    if (key == "uptime") return x.number() > y.number();  // stored as a start time
    return x.number() < y.number();
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const Value& a, const Value& b) { return descending ? before(b, a) : before(a, b); });
}

Table apps_table(const List& rows, const Page& page) {
  return page.pm2 ? pm2_table(rows, page) : tend_table(rows, page);
}

std::string mini_list(const List& rows, const Page& page) {
  std::string out;
  for (const Value& r : rows) {
    const auto line = [&](std::string_view label, const Cell& cell) {
      out += std::string(label) + " : " + cell.text + "\n";
    };
    out += "+--- " + name_cell(r, page).text + "\n";
    line("namespace", namespace_cell(r, page));
    line("version", version_cell(r, page));
    line("pid", pid_cell(r, page));
    line("pm2 id", id_cell(r, page));
    line("status", status_cell(r, page));
    line("mode", mode_cell(r, page));
    line("restarted", restarts_cell(r, page));
    line("uptime", uptime_cell(r, page));
    line("memory usage", memory_cell(r, page));
    line("error log", {printable(r.at("error").text())});
    line("watching", {r.at("watching").boolean() ? "yes" : "no"});
    line("PID file", {printable(r.at("pid_path").text())});
    out += "\n";
  }
  return out;
}

}  // namespace tend::render
