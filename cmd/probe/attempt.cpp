#include "cmd/probe/attempt.h"

#include <cctype>
#include <cerrno>
#include <cstring>

namespace tend::probe {

Answer from_errno(int code) {
  std::string text = std::strerror(code);
  text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  switch (code) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:  // no local port is left
      return not_asked(std::move(text));
    default:
      return bad(std::move(text));
  }
}

}  // namespace tend::probe
