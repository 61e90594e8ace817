// The boot files' texts. @WORDS@ are filled in by boot_files.cpp: @SH…@ are words for sh inside double
// quotes, @X…@ are for XML, @RAW…@ as they are.
#pragma once

#include <string_view>

namespace tend::cli {

std::string_view boot_form(std::string_view init);  // "": there is none

}  // namespace tend::cli
