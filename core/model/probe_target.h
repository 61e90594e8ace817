// What a probe asks, read from its option: where to, and which answers are good. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/model/app_spec.h"

namespace tend {

struct ProbeTarget {
  enum class Kind : uint8_t { http, tcp, exec };
  Kind kind = Kind::http;
  std::string url;          // http
  std::string host;         // http, tcp: a name or an address, without brackets
  uint16_t port = 0;        // tcp; 0: {port}
  StringList argv;          // exec
  bool needs_port = false;  // {port} is still in it
  friend bool operator==(const ProbeTarget&, const ProbeTarget&) = default;
};

// "http://host[:port][/path]", "https://…", "tcp://host:port" (an IPv6 address in brackets) or
// "exec:command", whose words are split at blanks outside quotes. {port} may stand for the port of a URL and
// of tcp, also in the path of a URL and in the command.
Result<ProbeTarget> parse_probe(std::string_view text);

// {port} replaced. Error: it is there, and the app has no port.
Result<ProbeTarget> with_port(const ProbeTarget& target, std::optional<uint16_t> port);

struct StatusRange {
  int from = 200;
  int to = 399;  // included
  friend bool operator==(const StatusRange&, const StatusRange&) = default;
};

// "200", "200-399" or a list of them with commas, at most 32; each within 100..599.
Result<std::vector<StatusRange>> parse_probe_status(std::string_view text);
bool accepts_status(const std::vector<StatusRange>& ranges, int status);

}  // namespace tend
