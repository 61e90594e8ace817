#pragma once

namespace tend {

// The overload set for std::visit.
template <class... F>
struct Match : F... {
  using F::operator()...;
};
template <class... F>
Match(F...) -> Match<F...>;

}  // namespace tend
