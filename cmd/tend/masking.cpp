#include "cmd/tend/masking.h"

#include <fcntl.h>
#include <unistd.h>

#include "cmd/render/mask.h"
#include "core/base/unique_fd.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

constexpr std::size_t kMostConfiguration = 1u << 20;

bool yes(const Value& v) { return v.boolean() || v.text() == "true" || v.text() == "1"; }

bool configured(const Session& s) {
  const UniqueFd fd(
      ::open((s.home.dir + "/module_conf.json").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  std::string text;
  char block[4096];
  ssize_t n = 0;
  while (fd && text.size() < kMostConfiguration && (n = ::read(fd.get(), block, sizeof block)) > 0)
    text.append(block, static_cast<std::size_t>(n));
  if (text.empty()) return false;
  const auto root = ipc::from_json(text);
  return root && yes(root->at("pm2").at("mask_secrets"));
}

}  // namespace

bool masks_secrets(const Session& s) {
  if (s.args.show_secrets) return false;
  if (!s.pm2) return true;
  const char* word = s.caller.variable("TEND_MASK");
  return word != nullptr ? std::string_view(word) == "1" : configured(s);
}

Value for_output(const Session& s, Value value) {
  return masks_secrets(s) ? render::masked_value("", value) : value;
}

}  // namespace tend::cli
