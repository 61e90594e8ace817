// One question to one app, from start() to its answer.
#pragma once

#include <functional>
#include <string>

namespace tend::probe {

struct Answer {
  bool ok = false;
  bool unknown = false;  // the app was not asked: this process or this machine was in the way
  std::string text;
};

inline Answer good(std::string text) { return {true, false, std::move(text)}; }
inline Answer bad(std::string text) { return {false, false, std::move(text)}; }
inline Answer not_asked(std::string text) { return {false, true, std::move(text)}; }
// The outcome of a system call on the way to the app: some errors speak of this machine alone.
Answer from_errno(int code);

// To destroy it is to cancel.
class Attempt {
 public:
  // Called once, perhaps within start(). It does not destroy the attempt.
  using Done = std::function<void(Answer)>;
  virtual ~Attempt() = default;
  virtual void start() = 0;
  virtual bool resolving() const { return false; }  // the app was not asked yet, its address is not known
};

}  // namespace tend::probe
