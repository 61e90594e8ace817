#include "cmd/render/why.h"

#include <algorithm>

#include "cmd/render/autopsy.h"
#include "cmd/render/humane.h"
#include "core/base/text.h"

namespace tend::render {
namespace {

std::string when(const Value& record) { return iso_text(Millis{record.at("at").integer()}); }

std::string how_it_ended(const Value& end) {
  if (const std::string& signal = end.at("signal").text(); !signal.empty())
    return "signal " + printable(signal) + (end.at("core").boolean() ? ", core dumped" : "");
  if (!end.at("code").is_null()) return "exit code " + std::to_string(end.at("code").integer());
  return {};
}

std::string block(const Value& end, const Page& page) {
  std::string head = when(end) + "  ";
  if (const int64_t pid = end.at("pid").integer(); pid > 0) {
    head += "process " + std::to_string(pid);
    if (const Value& lived = end.at("uptime"); !lived.is_null())
      head += " lived " + uptime_text(Millis{lived.integer()});
    if (const std::string how = how_it_ended(end); !how.empty()) head += ", " + how;
  } else {
    head += "no process";
  }
  std::string out = paint(Ink::bold, head + ": " + printable(end.at("then").text()), page.colour) + "\n";
  const std::string& text = end.at("text").text();
  const std::string& cause = end.at("cause").text();
  out += "  " + printable(text.empty() ? cause : text) + "\n";
  for (const std::string& line : autopsy_lines(end.at("autopsy"))) out += "  " + line + "\n";
  if (const List& lines = end.at("lines").list(); !lines.empty()) {
    out += paint(Ink::grey, "  last lines:", page.colour) + "\n";
    for (const Value& line : lines) out += "    " + printable(line.text()) + "\n";
  }
  return out;
}

}  // namespace

std::string why(const Value& app, std::size_t last, const Page& page) {
  const List& ends = app.at("ends").list();
  const std::size_t count = std::min(last, ends.size());
  std::string out =
      paint(Ink::inverse,
            " " + printable(app.at("name").text()) + ", id " + std::to_string(app.at("id").integer()) + " ",
            page.colour) +
      " " +
      (ends.empty() ? std::string("no process of it has ended")
                    : std::to_string(count) + " of " + std::to_string(ends.size()) + " known ends") +
      "\n";
  for (std::size_t i = ends.size() - count; i < ends.size(); ++i) out += block(ends[i], page);
  return out;
}

std::string verdicts(const Value& app, std::size_t last, const Page& page) {
  const List& health = app.at("health").list();
  if (health.empty()) return {};
  std::string out = paint(Ink::inverse, " Health ", page.colour) + "\n";
  for (std::size_t i = health.size() - std::min(last, health.size()); i < health.size(); ++i) {
    const Value& v = health[i];
    const std::string& event = v.at("event").text();
    const bool good = event == "healthy" || event == "probe ok";
    out += when(v) + "  " +
           paint(good              ? Ink::green
                 : event == "late" ? Ink::yellow
                                   : Ink::bold_red,
                 printable(event), page.colour) +
           "  " + printable(v.at("text").text()) + "\n";
  }
  return out;
}

}  // namespace tend::render
