#include "cmd/probe/names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

#include "core/loop/work.h"

namespace tend::probe {
namespace {

constexpr std::size_t kMaxNames = 1000;  // under way; those whose askers gave up are among them
constexpr std::size_t kMaxAddresses = 8;

Found look_up(const std::string& host) {
  Found found;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  if (const int e = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); e != 0) {
    found.error = "cannot resolve " + host + ": " + ::gai_strerror(e);
    found.temporary = e == EAI_AGAIN || e == EAI_SYSTEM || e == EAI_MEMORY;
    return found;
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(list, &::freeaddrinfo);
  for (const addrinfo* a = list; a != nullptr && found.addresses.size() < kMaxAddresses; a = a->ai_next) {
    char text[NI_MAXHOST];
    if (::getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
      found.addresses.emplace_back(text);
  }
  if (found.addresses.empty()) found.error = "cannot resolve " + host + ": it has no address";
  return found;
}

}  // namespace

bool is_numeric(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

bool is_localhost(const std::string& host) { return host == "localhost" || host.ends_with(".localhost"); }

bool is_loopback(const std::string& host) {
  return is_localhost(host) || host == "::1" || (host.starts_with("127.") && is_numeric(host));
}

uint64_t Names::find(const std::string& host, Done done) {
  const uint64_t ticket = ++last_ticket_;
  const auto it = waiting_.find(host);
  if (it != waiting_.end()) {
    it->second.emplace_back(ticket, std::move(done));
    return ticket;
  }
  if (waiting_.size() >= kMaxNames) {
    done({{}, "too many names are being resolved", true});
    return ticket;
  }
  waiting_[host].emplace_back(ticket, std::move(done));
  auto result = std::make_shared<Found>();
  loop::work(
      loop_, [result, host] { *result = look_up(host); }, [this, result, host] { found(host, *result); });
  return ticket;
}

void Names::forget(const std::string& host, uint64_t ticket) {
  const auto it = waiting_.find(host);
  if (it != waiting_.end()) std::erase_if(it->second, [&](const auto& one) { return one.first == ticket; });
}

void Names::found(const std::string& host, const Found& found) {
  auto node = waiting_.extract(host);
  if (node.empty()) return;
  for (const auto& [ticket, done] : node.mapped()) done(found);
}

}  // namespace tend::probe
