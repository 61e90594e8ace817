#include "cmd/render/autopsy.h"

#include <algorithm>
#include <cmath>

#include "core/base/text.h"
#include "core/base/units.h"

namespace tend::render {
namespace {

constexpr std::size_t kMostLines = 20;  // of a stack

std::string place(const Value& frame) {
  const std::string& name = frame.at("function").text();
  std::string out = name.empty() ? "(anonymous)" : printable(name);
  const std::string& file = frame.at("file").text();
  if (file.empty()) return out;
  out += " (" + printable(file);
  for (const char* key : {"line", "column"})
    if (const int64_t n = frame.at(key).integer(); n > 0) out += ":" + std::to_string(n);
  return out + ")";
}

// The innermost frame that is not of Node itself, among those that are shown: a loop of statSync is blocked
// in the app's loop, whatever piece of Node it was met in. The innermost when there is none.
std::size_t first_own(const List& frames) {
  for (std::size_t i = 0; i < std::min(frames.size(), kMostLines); ++i)
    if (!frames[i].at("file").text().starts_with("node:")) return i;
  return 0;
}

std::string whole_ms(const Value& v) { return std::to_string(std::llround(v.number())) + "ms"; }

std::string kernel_sentence(const Value& a) {
  const std::string& state = a.at("state").text();
  const std::string& call = a.at("syscall").text();
  const std::string& wchan = a.at("wchan").text();
  const char letter = state.empty() ? '?' : state[0];
  if (letter == 'T') return "stopped by a signal";
  if (letter == 't' || a.at("tracer").integer() != 0)
    return "held by a debugger" + (a.at("tracer").integer() != 0
                                       ? ", process " + std::to_string(a.at("tracer").integer())
                                       : std::string());
  std::string out;
  if (call == "running" || letter == 'R') {
    out = "running";
    if (call == "running")
      out += ", outside of system calls";
    else if (!call.empty())
      out += ", in " + printable(call);
  } else if (!call.empty()) {
    out = "blocked in " + printable(call);
    if (letter == 'D') out += ", uninterruptible";
  } else if (!state.empty()) {
    out = "blocked, state " + printable(state);
  } else {
    return {};
  }
  if (!wchan.empty()) out += " (kernel: " + printable(wchan) + ")";
  return out;
}

std::string figures(const Value& a) {
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
  if (!a.at("state").text().empty()) add("state " + printable(a.at("state").text()));
  if (!a.at("cpu_ms").is_null() && a.at("sample_ms").number() > 0)
    add("CPU " + whole_ms(a.at("cpu_ms")) + " of " + whole_ms(a.at("sample_ms")));
  if (const int64_t threads = a.at("threads").integer(); threads > 0) {
    std::string states;
    for (const auto& [state, count] : a.at("thread_states").map())
      states += (states.empty() ? " (" : ", ") + std::to_string(count.integer()) + " " + printable(state);
    add(std::to_string(threads) + (threads == 1 ? " thread" : " threads") + states +
        (states.empty() ? "" : ")"));
  }
  if (const int64_t rss = a.at("rss").integer(); rss > 0)
    add(std::to_string(rss / (1024 * 1024)) + "M resident");
  return out;
}

void add_stack(std::vector<std::string>& lines, const char* title, const List& stack) {
  if (stack.empty()) return;
  std::string text = std::string("  ") + title + ": ";
  for (std::size_t i = 0; i < std::min(stack.size(), kMostLines); ++i)
    text += (i == 0 ? "" : " < ") + printable(stack[i].text());
  lines.push_back(std::move(text));
}

}  // namespace

std::vector<std::string> autopsy_lines(const Value& a) {
  std::vector<std::string> lines;
  if (a.map().empty()) return lines;
  const List& frames = a.at("frames").list();
  const std::size_t shown = std::min(frames.size(), kMostLines);
  const std::size_t own = first_own(frames);
  if (!frames.empty()) lines.push_back("blocked in " + place(frames[own]));
  for (std::size_t i = own; i-- > 0;) lines.push_back("  which calls " + place(frames[i]));
  for (std::size_t i = own + 1; i < shown; ++i) lines.push_back("  called from " + place(frames[i]));
  if (frames.empty()) {
    const std::string sentence = kernel_sentence(a);
    if (!sentence.empty()) lines.push_back(sentence);
    add_stack(lines, "native stack", a.at("native_stack").list());
    add_stack(lines, "kernel stack", a.at("kernel_stack").list());
  }
  const std::string& note = a.at("note").text();
  if (lines.empty()) lines.push_back("nothing is known of what it did");
  if (const std::string text = figures(a); !text.empty()) lines.push_back("  " + text);
  if (!note.empty()) lines.push_back("  " + printable(note));
  return lines;
}

}  // namespace tend::render
