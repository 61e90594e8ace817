#include "core/supervisor/upgrade.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace tend::supervisor {
namespace {

// The keeper's words are errnos, with a text where the new program had something to say.
std::string reason(const std::string& program, const keeper::Report& report) {
  switch (report.a) {
    case EBUSY:
      return "another update is under way";
    case ECANCELED:
      return "the daemon is about to end";
    case ETIMEDOUT:
      return program + " does not answer";
    case ENOEXEC:
      return program + ": " + (report.name.empty() ? "it does not say that it can take over" : report.name);
    default:
      return program + ": " + std::strerror(static_cast<int>(report.a));
  }
}

}  // namespace

void Upgrade::begin(const std::shared_ptr<ipc::Call>& call) {
  if (call_) return call->error("another update is under way");
  const std::string program = call->params().at("program").text();
  if (program.empty() || program[0] != '/') return call->error("program: an absolute path is needed");
  const UniqueFd file(::open(program.c_str(), O_PATH | O_CLOEXEC));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0) return call->error(program + ": " + std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return call->error(program + ": not a regular file");
  if (const Status sent = keeper_.upgrade(file.get()); !sent) return call->error(sent.error().message);
  call_ = call;
  program_ = program;
}

void Upgrade::refused(const keeper::Report& report) {
  const auto call = std::exchange(call_, nullptr);
  if (!call) return;
  // A keeper of a version without upgrades does not know the request, or its descriptor.
  if (report.a == ENOSYS || report.a == EINVAL) return call->reply(Map{{"supervisor_only", true}});
  call->error(reason(program_, report));
}

}  // namespace tend::supervisor
