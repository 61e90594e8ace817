// Box-drawn tables: `┌─┬┐ │ ├┼┤ └┴┘`, one blank at both sides of a cell, left-aligned.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cmd/render/colour.h"

namespace tend::render {

struct Cell {
  std::string text;  // already printable
  Ink ink = Ink::none;
};

struct Column {
  std::string title;
  std::size_t width = 0;  // with its two blanks; 0: as wide as its longest cell needs
};

struct Table {
  std::vector<Column> columns;  // titles all empty: no header
  std::vector<std::vector<Cell>> rows;
};

// Ends in a newline. Over-long cells end in "…".
std::string draw(const Table& table, bool colour);
// The width of draw()'s lines.
std::size_t width_of(const Table& table);

}  // namespace tend::render
