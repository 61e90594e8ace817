#include "core/model/probe_target.h"

#include <algorithm>
#include <charconv>

#include "core/base/text.h"
#include "core/model/words.h"

namespace tend {
namespace {

constexpr std::string_view kPort = "{port}";
constexpr std::string_view kAccepted =
    "http://host:port/path, https://host:port/path, tcp://host:port, exec:command, with {port} for the app's "
    "port";
constexpr std::size_t kMaxLength = 8192;
constexpr std::size_t kMaxShown = 100;
constexpr std::size_t kMaxStatusRanges = 32;

std::string shown(std::string_view text) {
  return printable(text.substr(0, kMaxShown)) + (text.size() > kMaxShown ? "…" : "");
}

tl::unexpected<Error> refuse(std::string_view text, std::string_view why) {
  return fail("probe: found " + shown(text) + " (" + std::string(why) +
              "); accepted: " + std::string(kAccepted));
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool mentions_port(std::string_view text) { return text.find(kPort) != std::string_view::npos; }

template <class Number>
bool read_number(std::string_view text, Number& n) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), n);
  return is_digits(text) && read.ec == std::errc() && read.ptr == text.data() + text.size();
}

// A name, an IPv4 address, or what stands within brackets. What it means is for the resolver to say.
bool is_host(std::string_view host) {
  return !host.empty() && host.size() <= 255 && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

bool is_ipv6(std::string_view host) {
  return host.find(':') != std::string_view::npos && host.size() <= 45 &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
                  c == '.';
         });
}

struct Authority {
  std::string host;
  uint16_t port = 0;  // 0: {port}, or none at all
  bool has_port = false;
  std::string_view wrong;  // empty: it is well
};

Authority read_authority(std::string_view text) {
  Authority a;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos || !is_ipv6(text.substr(1, close - 1))) {
      a.wrong = "no IPv6 address in the brackets";
      return a;
    }
    a.host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (!port.empty() && port.front() != ':') a.wrong = "no port after the brackets";
  } else {
    const auto colon = text.find(':');
    a.host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon);
    if (!is_host(a.host)) a.wrong = "no host";
  }
  if (!a.wrong.empty() || port.empty()) return a;
  port.remove_prefix(1);
  a.has_port = true;
  if (port != kPort && (!read_number(port, a.port) || a.port == 0)) a.wrong = "a port is 1..65535 or {port}";
  return a;
}

Result<ProbeTarget> parse_http(std::string_view rest, std::string_view text) {
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u <= ' ' || u == 0x7f) return refuse(text, "a blank in the URL");
  }
  const Authority a = read_authority(rest.substr(0, rest.find_first_of("/?#")));
  if (!a.wrong.empty()) return refuse(text, a.wrong);
  ProbeTarget target;
  target.url = text;
  target.host = a.host;
  target.needs_port = mentions_port(text);
  return target;
}

Result<ProbeTarget> parse_tcp(std::string_view rest, std::string_view text) {
  if (take(rest, "{port}")) return refuse(text, "no host");
  if (rest.ends_with('/')) rest.remove_suffix(1);
  Authority a = read_authority(rest);
  if (!a.wrong.empty()) return refuse(text, a.wrong);
  if (!a.has_port) return refuse(text, "no port");
  ProbeTarget target;
  target.kind = ProbeTarget::Kind::tcp;
  target.host = std::move(a.host);
  target.port = a.port;
  target.needs_port = a.port == 0;
  return target;
}

Result<ProbeTarget> parse_exec(std::string_view rest, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return refuse(text, "a NUL in the command");
  ProbeTarget target;
  target.kind = ProbeTarget::Kind::exec;
  target.argv = split_words(rest);
  if (target.argv.empty() || target.argv.front().empty()) return refuse(text, "no command");
  target.needs_port = mentions_port(rest);
  return target;
}

void replace_port(std::string& text, std::string_view port) {
  for (auto at = text.find(kPort); at != std::string::npos; at = text.find(kPort, at + port.size()))
    text.replace(at, kPort.size(), port);
}

}  // namespace

Result<ProbeTarget> parse_probe(std::string_view text) {
  if (text.size() > kMaxLength) return refuse(text, "longer than " + std::to_string(kMaxLength) + " bytes");
  std::string_view rest = text;
  if (take(rest, "http://") || take(rest, "https://")) return parse_http(rest, text);
  if (take(rest, "tcp://")) return parse_tcp(rest, text);
  if (take(rest, "exec:")) return parse_exec(rest, text);
  return refuse(text, "no such kind");
}

Result<ProbeTarget> with_port(const ProbeTarget& target, std::optional<uint16_t> port) {
  ProbeTarget out = target;
  if (!target.needs_port) return out;
  if (!port || *port == 0) {
    return fail(
        "probe: it asks for {port}, and the app has none; accepted: a port in the probe, or listen or PORT "
        "for the app");
  }
  const std::string digits = std::to_string(*port);
  replace_port(out.url, digits);
  for (std::string& word : out.argv) replace_port(word, digits);
  if (out.kind == ProbeTarget::Kind::tcp) out.port = *port;
  out.needs_port = false;
  return out;
}

Result<std::vector<StatusRange>> parse_probe_status(std::string_view text) {
  const auto wrong = [&] {
    return fail("probe_status: found " + shown(text) +
                "; accepted: a status of 100..599 or a range as 200-399, at most " +
                std::to_string(kMaxStatusRanges) + " of them, with commas between");
  };
  std::vector<StatusRange> ranges;
  if (text.size() > kMaxLength) return wrong();
  for (const std::string& part : split(text, ',')) {
    const std::string_view word = trim(part);
    const auto dash = word.find('-');
    StatusRange range;
    if (!read_number(trim(word.substr(0, dash)), range.from)) return wrong();
    range.to = range.from;
    if (dash != std::string_view::npos && !read_number(trim(word.substr(dash + 1)), range.to)) return wrong();
    if (range.from < 100 || range.to > 599 || range.from > range.to || ranges.size() == kMaxStatusRanges)
      return wrong();
    ranges.push_back(range);
  }
  return ranges;
}

bool accepts_status(const std::vector<StatusRange>& ranges, int status) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const StatusRange& r) { return status >= r.from && status <= r.to; });
}

}  // namespace tend
