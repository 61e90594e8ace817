#include "core/supervisor/announcements.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "core/supervisor/executor.h"
#include "ipc/msgpack.h"

namespace tend::supervisor {
namespace {

constexpr int kTimesPerSecond = 64;
constexpr Millis kFlood{100};
constexpr Millis kOtherValue{10'000};
constexpr off_t kMaxKept = 4 << 20;

}  // namespace

Announcements::Announcements(loop::Loop& loop, const Clock& clock, Log& log, keeper::Client& keeper,
                             Find find)
    : clock_(clock), log_(log), keeper_(keeper), find_(std::move(find)), timer_(loop, [this] {
        keep_due();
      }) {}

bool Announcements::take(Instance& app, uint32_t spawn, const Value& message) {
  const std::string& type = message.at("type").text();
  if (type.rfind("axm:", 0) != 0 && message.at("node_version").is_null()) return false;
  Side* side = side_of(app, spawn);
  if (side == nullptr) return true;
  // An app's answer to a trigger begins alike and announces nothing.
  Announced fresh;
  Announced& announced = side->announced ? *side->announced : fresh;
  const Announced::Heard heard = announced.hear(message);
  if (!heard.kept) return false;
  if (!side->announced) side->announced = std::make_unique<Announced>(std::move(fresh));
  if (heard.refused && !std::exchange(side->overflowed, true)) {
    log_.warn("App [" + app.spec->name + ":" + std::to_string(app.id) +
              "] announces too much: of its actions, metrics and options some are not kept");
  }
  if (heard.more)
    keep_new({app.id, spawn});
  else if (heard.values)
    keep_soon({app.id, spawn}, kOtherValue);
  return true;
}

void Announcements::keep_new(const Key& key) {
  Keeping& k = keeping_[key];
  const Millis now = clock_.now();
  if (k.second.n < 0 || now - k.second >= Millis{1000}) {
    k.second = now;
    k.times = 0;
  }
  if (++k.times > kTimesPerSecond) return keep_soon(key, kFlood);
  k.due = Millis{-1};
  keep(key);
}

void Announcements::keep_soon(const Key& key, Millis delay) {
  Keeping& k = keeping_[key];
  const Millis at = clock_.now() + delay;
  if (k.due.n >= 0 && k.due <= at) return;
  k.due = at;
  if (wakes_.n >= 0 && wakes_ <= at) return;
  wakes_ = at;
  timer_.start(delay);
}

void Announcements::keep_due() {
  const Millis now = clock_.now();
  wakes_ = Millis{-1};
  for (auto& [key, k] : keeping_) {
    if (k.due.n < 0) continue;
    if (k.due <= now) {
      k.due = Millis{-1};
      keep(key);
    } else if (wakes_.n < 0 || k.due < wakes_) {
      wakes_ = k.due;
    }
  }
  if (wakes_.n >= 0) timer_.start(wakes_ - now);
}

// A new one each time: a kill of this process leaves the old one or the new one whole.
void Announcements::keep(const Key& key) {
  Instance* app = find_(key.first);
  const Side* side = app == nullptr ? nullptr : side_of(*app, key.second);
  if (side == nullptr || !side->announced) return;
  const std::vector<std::uint8_t> bytes = ipc::to_msgpack(side->announced->to_value());
  const UniqueFd fd(::memfd_create("tend-announced", MFD_CLOEXEC));
  const bool whole =
      fd && ::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  const Status held =
      whole ? keeper_.hold(keep_name("said", key.first, key.second), fd.get()) : Status(fail_errno("memfd"));
  if (!held) log_.warn("what an app announced is not kept: " + held.error().message);
}

void Announcements::give_back(Instance& app, uint32_t spawn, UniqueFd kept) {
  Side* side = side_of(app, spawn);
  struct stat st {};
  if (side == nullptr || ::fstat(kept.get(), &st) != 0 || st.st_size > kMaxKept) return;
  std::vector<std::byte> bytes(static_cast<std::size_t>(st.st_size));
  if (::pread(kept.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return;
  if (const auto value = ipc::from_msgpack(bytes))
    side->announced = std::make_unique<Announced>(Announced::from_value(*value));
}

void Announcements::ended(uint32_t id, uint32_t spawn) { keeping_.erase({id, spawn}); }

}  // namespace tend::supervisor
