#include "cmd/probe/service.h"

#include <sys/socket.h>

#include <cerrno>

#include "cmd/probe/tcp_attempt.h"

namespace tend::probe {
namespace {

constexpr int kReadsPerTurn = 16;
constexpr std::size_t kMaxQueued = 1u << 20;  // replies that are not read; beyond, no request is taken

}  // namespace

struct Service::Job {
  Job(loop::Loop& loop, uint64_t number, Millis now, std::function<void()> late)
      : sequence(number), began(now), limit(loop, std::move(late)) {}
  uint64_t sequence;
  Millis began;
  Millis timeout{0};
  loop::Timer limit;
  std::unique_ptr<Attempt> attempt;
};

Service::Service(loop::Loop& loop, UniqueFd socket, const rlimit& nofile)
    : loop_(loop),
      socket_(std::move(socket)),
      names_(loop),
      commands_(loop, nofile),
      poll_(loop, socket_.get(), [this](int events) { on_socket(events); }) {}

Service::~Service() {
  jobs_.clear();
  done_.clear();
}

Status Service::run() {
  watch();
  loop_.run();
  return outcome_;
}

void Service::end(Status how) {
  if (ended_) return;
  ended_ = true;
  outcome_ = std::move(how);
  poll_.stop();
  loop_.stop();
}

void Service::on_socket(int events) {
  if ((events & UV_WRITABLE) != 0) flush();
  if ((events & UV_READABLE) != 0) read();
}

void Service::read() {
  for (int i = 0; i < kReadsPerTurn && !ended_ && queue_.bytes() <= kMaxQueued; ++i) {
    const std::span<std::byte> room = reader_.room();
    const ssize_t n = ::recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n == 0 && reader_.partial()) return end(fail("the caller is gone in the middle of a frame"));
    if (n <= 0) return end({});
    reader_.filled(static_cast<std::size_t>(n));
    take_frames();
    if (static_cast<std::size_t>(n) < room.size()) return;
  }
}

void Service::take_frames() {
  ipc::Frame frame;
  while (!ended_) {
    const ipc::DecodeError e = reader_.next(frame);
    if (e == ipc::DecodeError::need_more) return;
    if (e != ipc::DecodeError::none)
      return end(fail("found bytes that are no frame (error " + std::to_string(static_cast<int>(e)) +
                      "); accepted: frames of TND1"));
    if (frame.header.kind == ipc::FrameKind::request) {
      begin(frame.header.stream, frame.header.sequence, frame.payload);
    } else if (frame.header.kind == ipc::FrameKind::cancel) {
      drop(frame.header.stream);
    } else {
      return end(fail("found a frame of kind " + std::to_string(static_cast<int>(frame.header.kind)) +
                      "; accepted: request, cancel"));
    }
  }
}

void Service::begin(uint32_t number, uint64_t sequence, std::span<const std::byte> payload) {
  const auto request = health::decode_request(payload);
  // One app's wrong words are no reason to leave the others without probes.
  if (!request) return reply(number, sequence, not_asked(request.error().message), {});
  if (jobs_.contains(number)) return reply(number, sequence, not_asked("it is under way already"), {});
  if (jobs_.size() + commands_.dying() >= health::kMaxUnderWay)
    return reply(number, sequence, not_asked("too many probes at once"), {});
  if (request->target.kind == ProbeTarget::Kind::exec && commands_.stuck(number))
    return reply(number, sequence, bad("the last one was killed and does not end"), {});
  auto job = std::make_unique<Job>(loop_, sequence, clock_.now(), [this, number] { timed_out(number); });
  job->timeout = request->timeout;
  job->limit.start(request->timeout);
  job->attempt = make(number, *request,
                      [this, number, sequence](const Answer& answer) { finish(number, sequence, answer); });
  Attempt& attempt = *job->attempt;
  jobs_.emplace(number, std::move(job));
  attempt.start();
}

std::unique_ptr<Attempt> Service::make(uint32_t number, const health::ProbeRequest& request,
                                       Attempt::Done done) {
  switch (request.target.kind) {
    case ProbeTarget::Kind::tcp:
      return std::make_unique<TcpAttempt>(loop_, names_, request.target.host, request.target.port,
                                          request.source, std::move(done));
    case ProbeTarget::Kind::exec:
      return commands_.make(number, request, std::move(done));
    case ProbeTarget::Kind::http:
      break;
  }
  if (!http_) http_ = std::make_unique<HttpClient>(loop_, names_);
  return http_->make(request, std::move(done));
}

void Service::timed_out(uint32_t number) {
  const auto it = jobs_.find(number);
  if (it == jobs_.end()) return;
  const Job& job = *it->second;
  finish(number, job.sequence,
         job.attempt->resolving() ? not_asked("its name did not resolve in " + show(job.timeout))
                                  : bad("no answer in " + show(job.timeout)));
}

// A cancelled attempt lives until the turn ends, and may speak when the next one of its number is under way.
void Service::finish(uint32_t number, uint64_t sequence, const Answer& answer) {
  const auto it = jobs_.find(number);
  if (it == jobs_.end() || it->second->sequence != sequence) return;
  reply(number, sequence, answer, clock_.now() - it->second->began);
  drop(number);
}

void Service::reply(uint32_t number, uint64_t sequence, const Answer& answer, Millis took) {
  const auto payload =
      health::encode({answer.ok, answer.unknown, answer.text.substr(0, health::kMaxProbeText), took});
  queue_.push({ipc::FrameKind::reply, 0, number, 0, sequence}, std::as_bytes(std::span(payload)));
  flush();
}

void Service::drop(uint32_t number) {
  const auto it = jobs_.find(number);
  if (it == jobs_.end()) return;
  it->second->limit.stop();
  if (done_.empty()) loop_.defer([this] { done_.clear(); });
  done_.push_back(std::move(it->second));
  jobs_.erase(it);
}

void Service::flush() {
  if (!ended_ && queue_.flush(socket_.get()) == ipc::SendQueue::Flush::broken) return end({});
  watch();
}

void Service::watch() {
  if (ended_) return;
  poll_.watch((queue_.bytes() > 0 ? UV_WRITABLE : 0) | (queue_.bytes() <= kMaxQueued ? UV_READABLE : 0));
}

}  // namespace tend::probe
