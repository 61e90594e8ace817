// Errors are values: every function that can fail for a reason that its caller can act on returns Result<T>.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace tend {

struct Error {
  std::string message;  // one line, for a person: what, where, found, accepted
  int code = 0;         // errno where a system call failed, else 0
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(std::string message, int code = 0) {
  return tl::unexpected<Error>(Error{std::move(message), code});
}

// "open /x: No such file or directory"; reads errno unless a code is given.
inline tl::unexpected<Error> fail_errno(std::string_view what, int code = errno) {
  return fail(std::string(what) + ": " + std::strerror(code), code);
}

}  // namespace tend
