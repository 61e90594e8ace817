// libuv handles behind RAII: the loop frees the memory, the owner only lets go.
#pragma once

#include <uv.h>

#include <memory>

namespace tend::loop {

template <class H>
struct UvClose {
  void operator()(H* h) const noexcept {
    h->data = nullptr;  // a callback finds no former owner
    uv_close(reinterpret_cast<uv_handle_t*>(h), [](uv_handle_t* raw) { delete reinterpret_cast<H*>(raw); });
  }
};

template <class H>
using UvPtr = std::unique_ptr<H, UvClose<H>>;  // initialised handles only

}  // namespace tend::loop
