#include "core/base/helper_linux.h"

#include <unistd.h>

#include "core/base/own_program.h"

namespace tend {

std::string helper_program(std::string_view name) {
  const std::string program = path_of_own_program();
  const std::string folder = program.substr(0, program.rfind('/'));
  std::string beside = folder + "/" + std::string(name);
  if (::access(beside.c_str(), X_OK) == 0) return beside;
  return folder.substr(0, folder.rfind('/')) + "/libexec/tend/" + std::string(name);
}

}  // namespace tend
