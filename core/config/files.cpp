#include "core/config/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/config/document.h"
#include "core/model/env.h"

namespace tend::config {

std::string absolute_path(std::string_view path, std::string_view base, std::string_view user_home) {
  std::filesystem::path p(path);
  if (path == "~" || path.starts_with("~/")) {
    p = std::filesystem::path(user_home) /
        std::filesystem::path(path.substr(std::min<std::size_t>(2, path.size())));
  }
  std::string s = (std::filesystem::path(base) / p).lexically_normal().string();
  while (s.size() > 1 && s.back() == '/') s.pop_back();
  return s;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool is_directory(const std::string& path) {
  struct stat s {};
  return ::stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode);
}

std::string find_program(std::string_view name, std::string_view path, std::string_view cwd) {
  if (name.empty() || name.find('/') != std::string_view::npos) return {};
  for (const std::string& folder : split(path, ':')) {
    const std::string candidate = absolute_path(name, absolute_path(folder, cwd, ""), "");
    struct stat s {};
    if (::stat(candidate.c_str(), &s) == 0 && S_ISREG(s.st_mode) && ::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
  }
  return {};
}

std::string search_path(const Context& context) {
  const std::string* path = context.variable("PATH");
  return path != nullptr ? *path : "/usr/local/bin:/usr/bin:/bin";
}

std::string_view base_name(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos || path.size() == 1 ? path : path.substr(slash + 1);
}

std::string_view extension(std::string_view name) {
  name = base_name(name);
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos || dot == 0 || name == ".." ? std::string_view() : name.substr(dot);
}

const std::string* Context::variable(std::string_view name) const { return find_variable(environment, name); }

Result<std::string> read_text(const std::string& path, std::size_t limit) {
  const bool standard_input = path == "-";
  UniqueFd opened;
  if (!standard_input) {
    opened = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO must not hold us
    if (!opened) return fail_errno(path);
    struct stat s {};
    if (::fstat(opened.get(), &s) != 0) return fail_errno(path);
    if (!S_ISREG(s.st_mode)) return fail(path + ": not a regular file");
    if (static_cast<std::size_t>(s.st_size) > limit) {
      return fail(path + ": larger than " + std::to_string(limit >> 20) + " MiB", EFBIG);
    }
  }
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t n = ::read(standard_input ? STDIN_FILENO : opened.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(path);
    if (n == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > limit)
      return fail(path + ": larger than " + std::to_string(limit >> 20) + " MiB", EFBIG);
  }
}

}  // namespace tend::config
