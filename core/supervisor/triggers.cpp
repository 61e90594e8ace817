#include "core/supervisor/triggers.h"

#include <algorithm>

#include "core/supervisor/announced.h"

namespace tend::supervisor {
namespace {

constexpr std::size_t kMaxAnswers = 4u << 20;  // bytes of one call's: an answer is one frame
constexpr std::string_view kScoped = "axm:scoped_action:";

Map about(const Triggers::Asked& who) {
  return Map{{"id", who.id}, {"name", who.name}, {"namespace", who.name_space}};
}

Value silent_one(const Triggers::Asked& who, std::string_view why) {
  Map m = about(who);
  m.append("error", why);
  return m;
}

}  // namespace

uint64_t Triggers::wait(Waiting waiting, Millis limit) {
  auto p = std::make_shared<Pending>();
  static_cast<Waiting&>(*p) = std::move(waiting);
  p->ticket = next_++;
  const uint64_t ticket = p->ticket;
  pending_.push_back(p);
  if (p->asked.empty()) {
    settle(p);
  } else if (limit.n > 0) {
    // Deferred: what is called must not run in a timer that it destroys.
    p->timer = std::make_unique<loop::Timer>(
        loop_, [this, ticket] { loop_.defer([this, ticket] { give_up(ticket); }); });
    p->timer->start(limit);
  }
  return ticket;
}

void Triggers::forget(uint64_t ticket) {
  pending_.remove_if([&](const auto& p) { return p->ticket == ticket; });
}

void Triggers::give_up(uint64_t ticket) {
  const auto found =
      std::find_if(pending_.begin(), pending_.end(), [&](const auto& p) { return p->ticket == ticket; });
  if (found == pending_.end()) return;
  const std::shared_ptr<Pending> p = *found;
  for (const Asked& who : p->asked) p->silent.push_back(silent_one(who, "did not answer"));
  p->asked.clear();
  settle(p);
}

void Triggers::settle(const std::shared_ptr<Pending>& p) {
  if (!p->asked.empty()) return;
  pending_.remove(p);
  p->answered(std::move(p->replies), std::move(p->silent));
}

void Triggers::reply(Pending& p, const Asked& who, const Value& data, const char* key) {
  const std::size_t weight = weight_of(data.at(key));
  if (p.bytes + weight > kMaxAnswers) {
    p.silent.push_back(silent_one(who, "answered with more than 4 MiB"));
    return;
  }
  p.bytes += weight;
  Map m = about(who);
  m.append("return", data.at(key));
  if (p.said) {
    Map item = m;
    item.append("kind", "reply");
    p.said(std::move(item));
  }
  p.replies.emplace_back(std::move(m));
}

// True: it was the last part.
bool Triggers::part(Pending& p, Asked& who, std::string_view kind, const Value& data) {
  if (kind == "stream") {
    Map item = about(who);
    item.append("kind", kind);
    item.append("data", data.at("data"));
    if (p.said) p.said(std::move(item));
    return false;
  }
  if (kind == "error")
    p.silent.push_back(silent_one(who, "failed: " + data.at("data").text()));
  else
    reply(p, who, data, "data");
  return true;
}

void Triggers::heard(uint32_t id, uint32_t spawn, const Value& message) {
  if (pending_.empty()) return;
  const std::string_view type = message.at("type").text();
  const bool scoped = type.substr(0, kScoped.size()) == kScoped;
  if (!scoped && type != "axm:reply") return;
  const Value& data = message.at("data");
  const std::string& action = data.at("action_name").text();
  const std::string& uuid = data.at("uuid").text();
  for (const std::shared_ptr<Pending>& p : pending_) {
    if (scoped ? uuid != p->uuid : action != p->action) continue;
    const auto who = std::find_if(p->asked.begin(), p->asked.end(), [&](const Asked& a) {
      return a.id == id && a.spawn == spawn && a.scoped == scoped;
    });
    if (who == p->asked.end()) continue;
    const std::shared_ptr<Pending> held = p;
    if (scoped && !part(*held, *who, type.substr(kScoped.size()), data)) return;
    if (!scoped) reply(*held, *who, data, "return");
    held->asked.erase(who);
    return settle(held);
  }
}

void Triggers::ended(uint32_t id, uint32_t spawn) {
  for (auto at = pending_.begin(); at != pending_.end();) {
    const std::shared_ptr<Pending> p = *at++;
    const auto who = std::find_if(p->asked.begin(), p->asked.end(),
                                  [&](const Asked& a) { return a.id == id && a.spawn == spawn; });
    if (who == p->asked.end()) continue;
    p->silent.push_back(silent_one(*who, "ended before it answered"));
    p->asked.erase(who);
    settle(p);
  }
}

}  // namespace tend::supervisor
