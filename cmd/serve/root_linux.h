// The tree below a folder. The folder is opened anew each time: a deployment that puts another one in its
// place, or turns the symbolic link that leads to it, is seen at once.
#pragma once

#include <string>

#include "cmd/serve/tree.h"

namespace tend::serve {

// How a path is kept below the root: openat2(2), or where a container forbids that, by looking up afterwards
// where the file is that was opened.
enum class Confinement : uint8_t { kernel, looked_up };

class Root final : public Tree {
 public:
  explicit Root(std::string folder, Confinement confinement = Confinement::kernel)
      : folder_(std::move(folder)), confinement_(confinement) {}
  tl::expected<Opened, int> open(const std::string& path) const override;

 private:
  std::string folder_;
  Confinement confinement_;
};

}  // namespace tend::serve
