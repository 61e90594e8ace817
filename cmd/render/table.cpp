#include "cmd/render/table.h"

#include <algorithm>

#include "cmd/render/width.h"

namespace tend::render {
namespace {

std::vector<std::size_t> widths_of(const Table& table) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    std::size_t width = table.columns[c].width;
    if (width == 0) {
      width = display_width(table.columns[c].title) + 2;
      for (const auto& row : table.rows)
        if (c < row.size()) width = std::max(width, display_width(row[c].text) + 2);
    }
    widths.push_back(std::max<std::size_t>(width, 3));
  }
  return widths;
}

void rule(std::string& out, const std::vector<std::size_t>& widths, const char* left, const char* middle,
          const char* right, bool colour) {
  std::string line = left;
  for (std::size_t c = 0; c < widths.size(); ++c) {
    if (c != 0) line += middle;
    for (std::size_t i = 0; i < widths[c]; ++i) line += "─";
  }
  line += right;
  out += paint(Ink::grey, line, colour);
  out += '\n';
}

template <class CellAt>
void line(std::string& out, const std::vector<std::size_t>& widths, bool colour, CellAt cell_at) {
  const std::string bar = paint(Ink::grey, "│", colour);
  for (std::size_t c = 0; c < widths.size(); ++c) {
    const Cell cell = cell_at(c);
    out += bar;
    out += ' ';
    // The ink covers the text alone, so that name and status stay unbroken words for grep.
    const std::string text = fit(cell.text, widths[c] - 2);
    out += paint(cell.ink, text, colour);
    out.append(widths[c] - 1 - display_width(text), ' ');
  }
  out += bar;
  out += '\n';
}

}  // namespace

std::string draw(const Table& table, bool colour) {
  const std::vector<std::size_t> widths = widths_of(table);
  std::string out;
  rule(out, widths, "┌", "┬", "┐", colour);
  const bool titled = std::any_of(table.columns.begin(), table.columns.end(),
                                  [](const Column& c) { return !c.title.empty(); });
  if (titled) {
    line(out, widths, colour, [&](std::size_t c) { return Cell{table.columns[c].title, Ink::bold_cyan}; });
    if (!table.rows.empty()) rule(out, widths, "├", "┼", "┤", colour);
  }
  for (const auto& row : table.rows)
    line(out, widths, colour, [&](std::size_t c) { return c < row.size() ? row[c] : Cell{}; });
  rule(out, widths, "└", "┴", "┘", colour);
  return out;
}

std::size_t width_of(const Table& table) {
  std::size_t sum = table.columns.size() + 1;
  for (const std::size_t width : widths_of(table)) sum += width;
  return sum;
}

}  // namespace tend::render
