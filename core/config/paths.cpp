// Names of files: compat.md 3.8.
#include "core/base/text.h"
#include "core/config/files.h"
#include "core/config/parts.h"
#include "core/model/options.h"

namespace tend::config {
namespace {

constexpr std::size_t kLongestFileName = 200;  // leaves room for -error-<id>.log in 255

// Every character but letters, digits, dot, hyphen and backslash becomes '-', one for each UTF-16 unit, as in
// PM2.
std::string file_name(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, kLongestFileName)) {
    const auto u = static_cast<unsigned char>(c);
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '-' || c == '\\';
    if (kept) {
      out += c;
    } else if ((u & 0xc0) != 0x80) {
      out += u >= 0xf0 ? "--" : "-";
    }
  }
  return out;
}

void resolve_log(std::string& path, std::string_view key, const std::string& fallback, AppSpec& spec,
                 const Context& context) {
  if (path.empty()) {
    if (fallback.empty()) return;
    path = fallback;
  } else if (path == "NULL") {
    path = "/dev/null";
  } else {
    path = absolute_path(path, spec.cwd, context.user_home);
  }
  mark_resolved(spec, key);
}

// "a-7.log" or "a.log" -> "a-<id>.log"
std::string numbered(std::string_view path, std::string_view ending, uint32_t id) {
  std::string_view stem = path.substr(0, path.size() - ending.size());
  const auto dash = stem.rfind('-');
  if (dash != std::string_view::npos && is_digits(stem.substr(dash + 1))) stem = stem.substr(0, dash);
  return std::string(stem) + '-' + std::to_string(id) + std::string(ending);
}

}  // namespace

void resolve_paths(AppSpec& spec, const Context& context) {
  const std::string name = file_name(spec.name);
  const std::string logs = context.home.logs() + '/' + name;
  resolve_log(spec.out_file, "out_file", context.no_log_files ? "/dev/null" : logs + "-out.log", spec, context);
  resolve_log(spec.error_file, "error_file", context.no_log_files ? "/dev/null" : logs + "-error.log", spec, context);
  resolve_log(spec.pid_file, "pid_file", context.home.pids() + '/' + name + ".pid", spec, context);
  if (spec.log_file == "true") spec.log_file = logs + ".log";
  resolve_log(spec.log_file, "log_file", "", spec, context);
  if (!spec.env_file.empty()) spec.env_file = absolute_path(spec.env_file, spec.cwd, context.user_home);
}

void place_changed_paths(AppSpec& spec) {
  for (std::string* path :
       {&spec.out_file, &spec.error_file, &spec.log_file, &spec.pid_file, &spec.env_file}) {
    if (*path == "NULL") *path = "/dev/null";
    if (!path->empty() && path->front() != '/') *path = absolute_path(*path, spec.cwd, {});
  }
}

std::string instance_log_path(const AppSpec& spec, const std::string& path, uint32_t id) {
  return spec.merge_logs || !path.ends_with(".log") ? path : numbered(path, ".log", id);
}

std::string instance_pid_path(const AppSpec& spec, uint32_t id) {
  const std::string& path = spec.pid_file;
  return path.empty() || path == "/dev/null" ? path
                                             : numbered(path, path.ends_with(".pid") ? ".pid" : "", id);
}

}  // namespace tend::config
