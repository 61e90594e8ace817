#include "core/health/probe_wire.h"

#include <arpa/inet.h>

#include <algorithm>
#include <limits>

#include "ipc/msgpack.h"

namespace tend::health {
namespace {

using Kind = ProbeTarget::Kind;

List to_list(const StringList& strings) { return List(strings.begin(), strings.end()); }

// Strings become words of execve(), which ends them at a NUL.
bool read_strings(const Value& v, StringList& out) {
  for (const Value& one : v.list()) {
    if (!one.is<std::string>() || one.text().find('\0') != std::string::npos) return false;
    out.push_back(one.text());
  }
  return true;
}

bool read_id(const Value& v, int32_t& out) {
  const int64_t id = v.integer(-1);
  if (id < -1 || id > std::numeric_limits<int32_t>::max()) return false;
  out = static_cast<int32_t>(id);
  return true;
}

bool read_exec(const Map& m, ProbeRequest& r) {
  const auto at = [&](std::string_view key) -> Value {
    const Value* v = m.find(key);
    return v == nullptr ? Value() : *v;
  };
  r.cwd = at("cwd").text();
  if (!read_strings(at("argv"), r.target.argv) || r.target.argv.empty() || r.target.argv.front().empty())
    return false;
  if (!read_strings(at("env"), r.env) || r.cwd.find('\0') != std::string::npos) return false;
  if (!read_id(at("uid"), r.uid) || !read_id(at("gid"), r.gid)) return false;
  const Value groups = at("groups");
  for (const Value& group : groups.list()) {
    if (group.integer(-1) < 0 || group.integer() > std::numeric_limits<uint32_t>::max()) return false;
    r.groups.push_back(static_cast<uint32_t>(group.integer()));
  }
  return true;
}

bool is_loopback_ipv4(const std::string& text) {
  in_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 && text.starts_with("127.");
}

bool read_status(const Value& v, std::vector<StatusRange>& out) {
  out.clear();
  for (const Value& range : v.list()) {
    if (range.list().size() != 2) return false;
    const int64_t from = range.list()[0].integer(), to = range.list()[1].integer();
    if (from < 100 || to > 599 || from > to) return false;
    out.push_back({static_cast<int>(from), static_cast<int>(to)});
  }
  return !out.empty();
}

// The parser of the option is the one judge of targets.
bool read_target(const std::string& text, Kind kind, ProbeTarget& out) {
  auto target = parse_probe(text);
  if (!target || target->kind != kind || target->needs_port) return false;
  out = std::move(*target);
  return true;
}

}  // namespace

std::vector<uint8_t> encode(const ProbeRequest& r) {
  Map m;
  switch (r.target.kind) {
    case Kind::http: {
      List status;
      for (const StatusRange& range : r.status) status.push_back(List{range.from, range.to});
      m.append("kind", "http");
      m.append("url", r.target.url);
      m.append("status", std::move(status));
      m.append("match", r.match);
      break;
    }
    case Kind::tcp:
      m.append("kind", "tcp");
      m.append("host", r.target.host);
      m.append("port", int64_t{r.target.port});
      break;
    case Kind::exec:
      m.append("kind", "exec");
      m.append("argv", to_list(r.target.argv));
      m.append("cwd", r.cwd);
      if (!r.env.empty()) m.append("env", to_list(r.env));
      m.append("uid", int64_t{r.uid});
      m.append("gid", int64_t{r.gid});
      m.append("groups", List(r.groups.begin(), r.groups.end()));
      break;
  }
  if (!r.source.empty()) m.append("source", r.source);
  m.append("timeout_ms", r.timeout.n);
  return ipc::to_msgpack(m);
}

std::vector<uint8_t> encode(const ProbeReply& reply) {
  Map m;
  m.append("ok", reply.ok);
  if (reply.unknown) m.append("unknown", true);
  m.append("text", reply.text);
  m.append("ms", reply.took.n);
  return ipc::to_msgpack(m);
}

Result<ProbeRequest> decode_request(std::span<const std::byte> payload) {
  const auto value = ipc::from_msgpack(payload);
  if (!value) return tl::unexpected(value.error());
  if (!value->is<Map>()) return fail("a request is a map");
  ProbeRequest r;
  r.timeout = Millis{value->at("timeout_ms").integer(-1)};
  if (r.timeout.n < 1 || r.timeout > kMaxProbeTimeout) return fail("no timeout_ms");
  const std::string& kind = value->at("kind").text();
  r.match = value->at("match").text();
  r.source = value->at("source").text();
  if (!r.source.empty() && !is_loopback_ipv4(r.source)) return fail("no such source");
  r.target.kind = kind == "exec" ? Kind::exec : kind == "tcp" ? Kind::tcp : Kind::http;
  bool whole = false;
  if (kind == "http") {
    whole = read_target(value->at("url").text(), Kind::http, r.target) &&
            read_status(value->at("status"), r.status);
  } else if (kind == "tcp") {
    const std::string& host = value->at("host").text();
    const bool brackets = host.find(':') != std::string::npos;
    whole = read_target(
        "tcp://" + (brackets ? "[" + host + "]" : host) + ":" + std::to_string(value->at("port").integer()),
        Kind::tcp, r.target);
  } else if (kind == "exec") {
    whole = read_exec(value->map(), r);
  }
  if (!whole) return fail("no such probe");
  return r;
}

Result<ProbeReply> decode_reply(std::span<const std::byte> payload) {
  const auto value = ipc::from_msgpack(payload);
  if (!value) return tl::unexpected(value.error());
  if (!value->at("ok").is<bool>()) return fail("a reply says ok");
  ProbeReply reply;
  reply.ok = value->at("ok").boolean();
  reply.unknown = value->at("unknown").boolean();
  reply.text = value->at("text").text().substr(0, kMaxProbeText);
  reply.took = Millis{std::max<int64_t>(0, value->at("ms").integer())};
  return reply;
}

}  // namespace tend::health
