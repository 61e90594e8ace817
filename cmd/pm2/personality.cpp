#include "cmd/pm2/personality.h"

#include "cmd/render/colour.h"
#include "cmd/render/inspect.h"
#include "core/base/text.h"

namespace tend::pm2 {
namespace {

std::string prefixed(render::Ink ink, std::string_view prefix, std::string_view text, bool colour) {
  return render::paint(ink, prefix, colour) + std::string(text) + "\n";
}

}  // namespace

std::string plain(std::string_view text, bool colour) {
  return prefixed(render::Ink::green, "[PM2] ", text, colour);
}
std::string info(std::string_view text, bool colour) {
  return prefixed(render::Ink::cyan, "[PM2][INFO] ", text, colour);
}
std::string warn(std::string_view text, bool colour) {
  return prefixed(render::Ink::yellow, "[PM2][WARN] ", text, colour);
}
std::string error(std::string_view text, bool colour) {
  return prefixed(render::Ink::red, "[PM2][ERROR] ", text, colour);
}

std::string rpc_name(std::string_view verb) { return std::string(verb) + "ProcessId"; }

std::string id_list(const List& ids, std::string_view word) {
  List shown;
  for (const Value& id : ids) {
    if (is_digits(word))
      shown.emplace_back(std::to_string(id.integer()));
    else
      shown.push_back(id);
  }
  return render::inspect(shown);
}

std::string applying(std::string_view verb, std::string_view word, const List& ids, bool colour) {
  return plain("Applying action " + rpc_name(verb) + " on app [" + printable(word) +
                   "](ids: " + id_list(ids, word) + ")",
               colour);
}

std::string ticked(std::string_view name, int64_t id, bool colour) {
  return plain("[" + printable(name) + "](" + std::to_string(id) + ") ✓", colour);
}

std::string not_found(std::string_view verb, std::string_view word, bool colour) {
  const std::string shown = printable(word);
  if (word == "all" || (word.size() > 1 && word.front() == '/' && word.back() == '/'))
    return warn("No process found", colour);
  if (!is_digits(word)) return error("Process or Namespace " + shown + " not found", colour);
  if (verb == "restart") return error("God db process id unknown", colour);
  if (verb == "reload") return error("PM2 ID unknown", colour);
  return error(shown + " : id unknown", colour);
}

}  // namespace tend::pm2
