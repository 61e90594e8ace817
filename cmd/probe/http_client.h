// HTTP by libcurl's multi interface on our loop. A fresh connection for each question: a server that accepts
// no more is not well, though it goes on answering those that it has.
#pragma once

#include <memory>

#include "cmd/probe/attempt.h"
#include "cmd/probe/names.h"
#include "core/health/probe_wire.h"

namespace tend::probe {

class HttpClient {
 public:
  HttpClient(loop::Loop& loop, Names& names);
  ~HttpClient();
  std::unique_ptr<Attempt> make(const health::ProbeRequest& request, Attempt::Done done);

 private:
  class Multi;
  class Question;
  std::unique_ptr<Multi> multi_;
  Names& names_;
};

}  // namespace tend::probe
