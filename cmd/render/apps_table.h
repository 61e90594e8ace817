// Row maps of api.h as tables.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cmd/render/table.h"
#include "core/base/units.h"
#include "core/model/value.h"

namespace tend::render {

struct Page {
  std::size_t width = 80;
  bool colour = false;
  Millis now{};      // wall
  bool pm2 = false;  // PM2's columns and fixed widths (compat.md 7.2)
};

// "name:asc", "memory:desc", "id": PM2's --sort. Unknown fields leave the order.
void sort_rows(List& rows, std::string_view order);
Table apps_table(const List& rows, const Page& page);
std::string mini_list(const List& rows, const Page& page);  // compat.md 7.3

Ink ink_of_status(std::string_view status);
std::string uptime_of(const Value& row, Millis now);  // "0" unless online

}  // namespace tend::render
