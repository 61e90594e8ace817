#include "cmd/probe/http_client.h"

#include <curl/curl.h>

#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/text.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"

namespace tend::probe {
namespace {

constexpr std::size_t kMaxHead = 256u << 10;

template <auto free>
struct Free {
  template <class T>
  void operator()(T* p) const {
    free(p);
  }
};
using Easy = std::unique_ptr<CURL, Free<&curl_easy_cleanup>>;
using Words = std::unique_ptr<curl_slist, Free<&curl_slist_free_all>>;
using Url = std::unique_ptr<CURLU, Free<&curl_url_cleanup>>;

void add(Words& words, const std::string& word) {
  words.reset(curl_slist_append(words.release(), word.c_str()));
}

std::string part(CURLU* url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return "";
  const std::unique_ptr<char, Free<&curl_free>> owned(text);
  return text;
}

}  // namespace

class HttpClient::Question final : public Attempt {
 public:
  Question(Multi& multi, Names& names, const health::ProbeRequest& request, Done done)
      : multi_(multi), names_(names), request_(request), done_(std::move(done)) {}
  ~Question() override;
  void start() override;
  bool resolving() const override { return resolving_; }
  void completed(CURLcode code);

 private:
  void ask();
  void set_options();
  Answer judge();
  Answer explain(CURLcode code);
  static std::size_t on_body(char* data, std::size_t one, std::size_t n, void* self);
  static std::size_t on_head(char* data, std::size_t one, std::size_t n, void* self);

  Multi& multi_;
  Names& names_;
  const health::ProbeRequest request_;
  const Done done_;
  std::string host_, port_;
  bool resolving_ = false;
  uint64_t ticket_ = 0;
  Easy easy_;
  Words addresses_, headers_;
  bool added_ = false;
  bool cut_ = false;  // enough of the body was seen
  std::string body_;
  std::size_t seen_ = 0, head_ = 0;
  char error_[CURL_ERROR_SIZE] = {};
};

class HttpClient::Multi {
 public:
  explicit Multi(loop::Loop& loop) : loop_(loop), timer_(loop, [this] { act(CURL_SOCKET_TIMEOUT, 0); }) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi_ = curl_multi_init();
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Multi::on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Multi::on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  }
  ~Multi() {
    curl_multi_cleanup(multi_);
    curl_global_cleanup();
  }
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;
  bool add(CURL* easy) { return curl_multi_add_handle(multi_, easy) == CURLM_OK; }
  void remove(CURL* easy) { curl_multi_remove_handle(multi_, easy); }

 private:
  // curl may drop the very Poll that called us: nothing of it is used after socket_action.
  void act(curl_socket_t socket, int events) {
    int running = 0;
    curl_multi_socket_action(multi_, socket, events, &running);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      Question* question = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &question);
      question->completed(message->data.result);
    }
  }

  static int on_socket(CURL*, curl_socket_t socket, int what, void* data, void*) {
    auto* self = static_cast<Multi*>(data);
    if (what == CURL_POLL_REMOVE) {
      self->polls_.erase(socket);
      return 0;
    }
    auto& poll = self->polls_[socket];
    if (!poll) {
      poll = std::make_unique<loop::Poll>(self->loop_, socket, [self, socket](int now) {
        self->act(socket, ((now & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
                              ((now & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0));
      });
    }
    poll->watch(((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
                ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0));
    return 0;
  }

  static int on_timer(CURLM*, long ms, void* data) {
    auto* self = static_cast<Multi*>(data);
    if (ms < 0) {
      self->timer_.stop();
    } else {
      self->timer_.start(Millis{ms});
    }
    return 0;
  }

  loop::Loop& loop_;
  CURLM* multi_ = nullptr;
  std::unordered_map<curl_socket_t, std::unique_ptr<loop::Poll>> polls_;
  loop::Timer timer_;
};

HttpClient::Question::~Question() {
  if (resolving_) names_.forget(host_, ticket_);
  if (added_) multi_.remove(easy_.get());
}

void HttpClient::Question::start() {
  const Url url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, request_.target.url.c_str(), 0) != CURLUE_OK)
    return done_(not_asked("no URL: " + request_.target.url));
  host_ = part(url.get(), CURLUPART_HOST);
  port_ = part(url.get(), CURLUPART_PORT);
  if (host_.starts_with('[') && host_.ends_with(']')) host_ = host_.substr(1, host_.size() - 2);
  if (is_numeric(host_) || is_localhost(host_)) return ask();  // curl needs no name server either
  resolving_ = true;
  ticket_ = names_.find(host_, [this](const Found& found) {
    resolving_ = false;
    if (found.addresses.empty()) return done_(found.temporary ? not_asked(found.error) : bad(found.error));
    std::string line = "+" + host_ + ":" + port_ + ":";
    for (const std::string& address : found.addresses) {
      const bool six = address.find(':') != std::string::npos;
      line += (line.back() == ':' ? "" : ",") + (six ? "[" + address + "]" : address);
    }
    add(addresses_, line);
    ask();
  });
}

void HttpClient::Question::ask() {
  easy_.reset(curl_easy_init());
  if (!easy_) return done_(not_asked("out of memory"));
  set_options();
  added_ = multi_.add(easy_.get());
  if (!added_) done_(not_asked("curl takes no more"));
}

void HttpClient::Question::set_options() {
  CURL* const easy = easy_.get();
  add(headers_, "Connection: close");
  add(headers_, "Accept: */*");
  curl_easy_setopt(easy, CURLOPT_URL, request_.target.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // not that of the environment either
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  if (!request_.source.empty())
    curl_easy_setopt(easy, CURLOPT_INTERFACE, ("host!" + request_.source).c_str());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.timeout.n));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "tend-probe/" TEND_VERSION);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Question::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Question::on_head);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  if (addresses_) curl_easy_setopt(easy, CURLOPT_RESOLVE, addresses_.get());
  if (is_loopback(host_)) {  // nobody stands between, and no authority vouches for such a name
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
}

std::size_t HttpClient::Question::on_body(char* data, std::size_t one, std::size_t n, void* self) {
  auto* q = static_cast<Question*>(self);
  const std::size_t size = one * n;
  const std::size_t room = health::kMaxProbeBody - q->seen_;
  if (!q->request_.match.empty()) q->body_.append(data, std::min(size, room));
  q->seen_ += std::min(size, room);
  q->cut_ = size > room;
  return q->cut_ ? 0 : size;
}

std::size_t HttpClient::Question::on_head(char*, std::size_t one, std::size_t n, void* self) {
  auto* q = static_cast<Question*>(self);
  q->head_ += one * n;
  return q->head_ > kMaxHead ? 0 : one * n;
}

void HttpClient::Question::completed(CURLcode code) {
  done_(code == CURLE_OK || (code == CURLE_WRITE_ERROR && cut_) ? judge() : explain(code));
}

Answer HttpClient::Question::judge() {
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  std::string text = "status " + std::to_string(status);
  if (!accepts_status(request_.status, static_cast<int>(status))) return bad(std::move(text));
  if (!request_.match.empty() && body_.find(request_.match) == std::string::npos)
    return bad(text + (cut_ ? ", no match in the first 64 KiB of the body" : ", no match in the body"));
  return good(std::move(text));
}

Answer HttpClient::Question::explain(CURLcode code) {
  long number = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &number);
  if ((code == CURLE_COULDNT_CONNECT || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR) && number != 0)
    return from_errno(static_cast<int>(number));
  if (code == CURLE_GOT_NOTHING) return bad("connection closed without an answer");
  if (code == CURLE_OUT_OF_MEMORY) return not_asked("out of memory");
  if (head_ > kMaxHead) return bad("more than 256 KiB of headers");
  return bad(printable(error_[0] != '\0' ? error_ : curl_easy_strerror(code)));
}

HttpClient::HttpClient(loop::Loop& loop, Names& names)
    : multi_(std::make_unique<Multi>(loop)), names_(names) {}
HttpClient::~HttpClient() = default;

std::unique_ptr<Attempt> HttpClient::make(const health::ProbeRequest& request, Attempt::Done done) {
  return std::make_unique<Question>(*multi_, names_, request, std::move(done));
}

}  // namespace tend::probe
