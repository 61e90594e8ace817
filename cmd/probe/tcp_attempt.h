// A connection that is accepted is a good answer: each address in turn, until one accepts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cmd/probe/attempt.h"
#include "cmd/probe/names.h"
#include "core/base/unique_fd.h"
#include "core/loop/poll.h"

namespace tend::probe {

class TcpAttempt final : public Attempt {
 public:
  TcpAttempt(loop::Loop& loop, Names& names, std::string host, uint16_t port, std::string source, Done done);
  ~TcpAttempt() override;
  void start() override;
  bool resolving() const override { return resolving_; }

 private:
  void try_next();
  void give_up(int code);
  void connected();
  loop::Loop& loop_;
  Names& names_;
  const std::string host_;
  const uint16_t port_;
  const std::string source_;  // the address to come from; empty: any
  const Done done_;
  bool resolving_ = false;
  uint64_t ticket_ = 0;
  std::vector<std::string> addresses_;
  std::size_t next_ = 0;
  int last_error_ = 0;
  UniqueFd socket_;
  std::unique_ptr<loop::Poll> poll_;
  std::unique_ptr<loop::Poll> former_poll_;  // its callback may be the one that runs
};

}  // namespace tend::probe
