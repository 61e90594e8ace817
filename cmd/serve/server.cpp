#include "cmd/serve/server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <strings.h>

#include <atomic>
#include <cstring>
#include <ctime>
#include <vector>

#include "cmd/serve/access_log.h"
#include "cmd/serve/answer.h"
#include "cmd/serve/peers.h"
#include "cmd/serve/root_linux.h"
#include "cmd/serve/short_cache.h"
#include "core/base/file.h"

namespace tend::serve {
namespace {

constexpr Millis kFresh{100};             // how long an answer is sent without a look at the file
constexpr std::size_t kMostCached = 512;  // with at most kSmall bytes or one descriptor each
constexpr Millis kSilent{20'000};         // for a connection's first request to be complete
constexpr Millis kIdle{75'000};           // for every other
constexpr Millis kFarewell{500};          // idle connections at the end: a request may be on its way
constexpr unsigned kInactive = 60;        // s without a byte in either direction
constexpr std::size_t kHeadMemory = 16 * 1024;
constexpr int kDrainStep = 20;  // ms

Millis coarse_now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return {t.tv_sec * 1000 + t.tv_nsec / 1'000'000};
}

struct FreeResponse {
  void operator()(MHD_Response* r) const { MHD_destroy_response(r); }
};
using ResponsePtr = std::unique_ptr<MHD_Response, FreeResponse>;

void add_header(MHD_Response* response, std::string_view name, const std::string& value) {
  MHD_add_response_header(response, std::string(name).c_str(), value.c_str());
}

ResponsePtr make_response(const Document& document, uint64_t first, uint64_t length, const Headers& headers) {
  ResponsePtr response;
  if (document.fd && length > 0) {
    UniqueFd copy(::fcntl(document.fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return nullptr;
    response.reset(MHD_create_response_from_fd_at_offset64(length, copy.get(), first));
    if (response) static_cast<void>(copy.release());  // the response closes it
  } else {
    // Copied: a response may be on its way for longer than its document lives.
    void* const bytes = const_cast<char*>(document.body.data() + (document.fd ? 0 : first));
    response.reset(MHD_create_response_from_buffer(length, bytes, MHD_RESPMEM_MUST_COPY));
  }
  if (!response) return nullptr;
  for (const auto& [name, value] : headers) add_header(response.get(), name, value);
  return response;
}

// A document and the answer that sends the whole of it.
struct Sendable {
  Document document;
  ResponsePtr whole;
};

std::shared_ptr<Sendable> sendable(Document document) {
  auto s = std::make_shared<Sendable>();
  s->document = std::move(document);
  s->whole = make_response(s->document, 0, s->document.version.size, s->document.headers);
  return s->whole ? s : nullptr;
}

bool same_field(const char* key, std::string_view name) {
  return ::strncasecmp(key, name.data(), name.size() + 1) == 0;
}

MHD_Result take_field(void* head_ptr, MHD_ValueKind, const char* key, const char* value) {
  auto& head = *static_cast<RequestHead*>(head_ptr);
  if (key == nullptr || value == nullptr) return MHD_YES;
  switch (key[0] | 0x20) {
    case 'i':
      if (same_field(key, "If-None-Match")) head.if_none_match = value;
      if (same_field(key, "If-Modified-Since")) head.if_modified_since = value;
      if (same_field(key, "If-Range")) head.if_range = value;
      break;
    case 'r':
      if (same_field(key, "Range")) head.range = value;
      break;
    case 'a':
      if (same_field(key, "Accept-Encoding")) head.accept_encoding = value;
      if (same_field(key, "Authorization")) head.authorization = value;
      break;
    default:
      break;
  }
  return MHD_YES;
}

// As it came: decoding it is clean_path()'s.
size_t keep_escapes(void*, MHD_Connection*, char* text) { return std::strlen(text); }

struct Query {
  std::string text;
};
MHD_Result take_argument(void* query, MHD_ValueKind, const char* key, const char* value) {
  std::string& text = static_cast<Query*>(query)->text;
  text += text.empty() ? '?' : '&';
  for (const char* p = key; *p != '\0'; ++p) text += *p == ' ' ? '+' : *p;
  if (value == nullptr) return MHD_YES;
  text += '=';
  for (const char* p = value; *p != '\0'; ++p) text += *p == ' ' ? '+' : *p;
  return MHD_YES;
}

}  // namespace

class Server::State {
 public:
  explicit State(const Settings& settings) : settings_(settings), root_(settings.root) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
  }

  Status start(UniqueFd listener) {
    // Several processes may wait for one connection.
    ::fcntl(listener.get(), F_SETFL, ::fcntl(listener.get(), F_GETFL) | O_NONBLOCK);
    for (const int status : {400, 401, 403, 404, 405, 500, 503}) {
      auto error = sendable(make_error(settings_, status));
      if (!error) return fail("no memory");
      errors_.emplace_back(status, std::move(error));
    }
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_TURBO;
    const MHD_OptionItem more[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, settings_.threads > 1 ? static_cast<intptr_t>(settings_.threads) : 0,
         nullptr},
        {MHD_OPTION_END, 0, nullptr}};
    daemon_ = MHD_start_daemon(flags, 0, nullptr, nullptr, &State::on_request, this, MHD_OPTION_LISTEN_SOCKET,
                               listener.get(), MHD_OPTION_CONNECTION_LIMIT, settings_.connections,
                               MHD_OPTION_CONNECTION_TIMEOUT, kInactive, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                               kHeadMemory, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
                               &keep_escapes, nullptr, MHD_OPTION_NOTIFY_COMPLETED, &State::on_completed,
                               this, MHD_OPTION_NOTIFY_CONNECTION, &State::on_connection, this,
                               MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    if (daemon_ == nullptr) return fail_errno("the server could not be started");
    static_cast<void>(listener.release());  // the daemon's, until drain()
    return {};
  }

  void tidy() {
    peers_.send_away(coarse_now(), kSilent, kIdle);
    for (auto& cache : caches_) cache.sweep(coarse_now());
  }

  void drain() {
    draining_ = true;
    const UniqueFd listener(MHD_quiesce_daemon(daemon_));
    const Millis end = coarse_now() + settings_.grace;
    while (peers_.count() > 0 && coarse_now() < end) {
      peers_.send_away(coarse_now(), kFarewell, kFarewell);
      ::poll(nullptr, 0, kDrainStep);
    }
  }

 private:
  static State& self(void* state) { return *static_cast<State*>(state); }

  static void on_connection(void* state, MHD_Connection* connection, void** peer,
                            MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
      if (*peer != nullptr) self(state).peers_.remove(static_cast<Peers::Peer*>(*peer));
      return;
    }
    const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != nullptr) *peer = self(state).peers_.add(info->connect_fd, coarse_now());
  }

  static Peers::Peer* peer_of(MHD_Connection* connection) {
    const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != nullptr ? static_cast<Peers::Peer*>(info->socket_context) : nullptr;
  }

  static void on_completed(void* state, MHD_Connection* connection, void** exchange,
                           MHD_RequestTerminationCode) {
    State& s = self(state);
    if (Peers::Peer* peer = peer_of(connection)) Peers::ends(*peer, coarse_now());
    if (!s.settings_.access_log || *exchange == nullptr) return;
    const std::unique_ptr<Access> access(static_cast<Access*>(*exchange));
    *exchange = nullptr;
    const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    // Without a reader there is nobody to tell.
    static_cast<void>(write_all(
        STDOUT_FILENO,
        access_line(peer_name(info != nullptr ? info->client_addr : nullptr), *access, ::time(nullptr))));
  }

  static MHD_Result on_request(void* state, MHD_Connection* connection, const char* url, const char* method,
                               const char* version, const char*, size_t* upload, void** exchange) {
    State& s = self(state);
    if (*exchange == nullptr) {
      if (Peers::Peer* peer = peer_of(connection)) Peers::begins(*peer);
      if (s.settings_.access_log)
        *exchange = new Access{std::string(method) + " " + url + " " + version, 0, 0};
      else
        *exchange = state;  // not null: seen
      return MHD_YES;       // an answer at once would end the connection
    }
    if (*upload != 0) {
      *upload = 0;  // a body is read and forgotten
      return MHD_YES;
    }
    return s.answer(connection, url, method, exchange);
  }

  MHD_Result answer(MHD_Connection* connection, std::string_view url, std::string_view method,
                    void** exchange) {
    RequestHead head;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, &take_field, &head);
    if (!settings_.credentials.empty() && !authorized(head.authorization, settings_.credentials))
      return send(connection, *error(401), {}, exchange);
    if (method != "GET" && method != "HEAD") return send(connection, *error(405), {}, exchange);
    const bool without_body = method == "HEAD";
    if (without_body) head.range = {};
    return send(connection, *document(connection, url, accepted_encodings(head.accept_encoding)), head,
                exchange, without_body);
  }

  std::shared_ptr<Sendable> error(int status) const {
    for (const auto& [code, made] : errors_)
      if (code == status) return made;
    return errors_.back().second;
  }

  std::shared_ptr<Sendable> document(MHD_Connection* connection, std::string_view url, uint8_t accepted) {
    const Millis now = coarse_now();
    auto& cache = caches_[accepted & 3];
    if (auto known = cache.find(url, now)) return known;
    Resolved resolved = resolve(root_, settings_, url, accepted);
    const bool lasting = resolved.kind == Resolved::Kind::file && resolved.status == 200;
    if (resolved.kind == Resolved::Kind::error) return error(resolved.status);
    if (resolved.kind == Resolved::Kind::redirect) {
      Query query;
      MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, &take_argument, &query);
      resolved.location += query.text;
    }
    auto made = sendable(make_document(root_, settings_, std::move(resolved)));
    if (!made) return error(503);
    if (lasting) cache.put(url, now, made);
    return made;
  }

  MHD_Result send(MHD_Connection* connection, const Sendable& what, const RequestHead& head, void** exchange,
                  bool without_body = false) {
    const Document& document = what.document;
    Portion part{document.status, 0, document.version.size};
    if (!document.version.etag.empty()) part = portion(head, document.version);
    if (settings_.access_log) {
      auto& access = *static_cast<Access*>(*exchange);
      access.status = part.status;
      access.bytes = without_body ? 0 : part.length;
    }
    const bool closing = draining_.load(std::memory_order_relaxed);
    const auto status = static_cast<unsigned>(part.status);
    if (part.status == document.status && !closing)
      return MHD_queue_response(connection, status, what.whole.get());
    Headers headers = part.status == document.status ? document.headers : portion_headers(document, part);
    if (closing) headers.emplace_back("Connection", "close");
    const ResponsePtr response = make_response(document, part.first, part.length, headers);
    if (!response) return MHD_NO;
    return MHD_queue_response(connection, status, response.get());
  }

  const Settings settings_;
  const Root root_;
  Peers peers_;
  using Cache = ShortCache<Sendable>;
  Cache caches_[4] = {
      {kFresh, kMostCached}, {kFresh, kMostCached}, {kFresh, kMostCached}, {kFresh, kMostCached}};
  std::vector<std::pair<int, std::shared_ptr<Sendable>>> errors_;
  std::atomic<bool> draining_{false};
  MHD_Daemon* daemon_ = nullptr;  // ended by the destructor, before what it uses
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

Result<Server> Server::start(const Settings& settings, UniqueFd listener) {
  auto state = std::make_unique<State>(settings);
  if (auto started = state->start(std::move(listener)); !started) return tl::unexpected(started.error());
  return Server(std::move(state));
}

void Server::tidy() { state_->tidy(); }
void Server::drain() { state_->drain(); }

}  // namespace tend::serve
