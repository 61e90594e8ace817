#include "cmd/tend/masking.h"

#include <fcntl.h>

#include "cmd/render/mask.h"
#include "core/base/file.h"
#include "ipc/msgpack.h"

namespace tend::cli {
namespace {

constexpr std::size_t kMostConfiguration = 1u << 20;

bool yes(const Value& v) { return v.boolean() || v.text() == "true" || v.text() == "1"; }

bool configured(const Session& s) {
  const auto text = read_file(s.home.settings(), kMostConfiguration, O_NOFOLLOW);
  if (!text || text->empty()) return false;
  const auto root = ipc::from_json(*text);
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
