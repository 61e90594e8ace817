#include "core/supervisor/input_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tend::supervisor {
namespace {

constexpr std::size_t kMaxWaiting = 1u << 20;
constexpr std::string_view kDeaf = "does not read its standard input";

}  // namespace

InputPipe::InputPipe(loop::Loop& loop, UniqueFd fd, Millis patience)
    : loop_(loop), fd_(std::move(fd)), limit_(patience) {
  const int flags = ::fcntl(fd_.get(), F_GETFL);
  if (flags >= 0) (void)::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK);
}

InputPipe::~InputPipe() { refuse_all(Error{"ended before it read its standard input", 0}); }

void InputPipe::write(std::string text, Done done) {
  if (text.size() > kMaxWaiting - waiting_) return done(fail(std::string(kDeaf)));
  const bool first = texts_.empty();
  waiting_ += text.size();
  texts_.push_back({std::move(text), false, std::move(done)});
  if (first) flush();
  if (!texts_.empty() && !armed_) wait_for_room();
}

void InputPipe::flush() {
  bool moved = false;
  while (!texts_.empty()) {
    Text& text = texts_.front();
    const ssize_t n = text.rest.empty() ? 0 : ::write(fd_.get(), text.rest.data(), text.rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) {
      const bool closed = errno == EPIPE;
      return refuse_all(closed ? Error{"has closed its standard input", EPIPE} : fail_errno("write").value());
    }
    if (n < 0) break;
    moved = true;
    text.begun = true;
    waiting_ -= static_cast<std::size_t>(n);
    text.rest.erase(0, static_cast<std::size_t>(n));
    if (!text.rest.empty()) continue;
    const Done done = std::move(text.done);
    texts_.pop_front();
    if (done) done({});
  }
  if (texts_.empty()) return rest();
  if (moved) wait_for_room();
}

void InputPipe::wait_for_room() {
  if (!poll_) {
    poll_ = std::make_unique<loop::Poll>(loop_, fd_.get(), [this](int) { flush(); });
    patience_ = std::make_unique<loop::Timer>(loop_, [this] { give_up(); });
  }
  poll_->watch(UV_WRITABLE);
  patience_->start(limit_);
  armed_ = true;
}

void InputPipe::rest() {
  if (poll_) poll_->stop();
  if (patience_) patience_->stop();
  armed_ = false;
}

void InputPipe::give_up() {
  armed_ = false;
  for (std::deque<Text> texts = std::exchange(texts_, {}); !texts.empty(); texts.pop_front()) {
    Text& text = texts.front();
    if (const Done done = std::exchange(text.done, nullptr)) done(fail(std::string(kDeaf)));
    if (text.begun)
      texts_.push_back(std::move(text));
    else
      waiting_ -= text.rest.size();
  }
  if (texts_.empty()) rest();
}

void InputPipe::refuse_all(const Error& error) {
  rest();
  waiting_ = 0;
  for (std::deque<Text> texts = std::exchange(texts_, {}); !texts.empty(); texts.pop_front()) {
    if (texts.front().done) texts.front().done(tl::unexpected(error));
  }
}

}  // namespace tend::supervisor
