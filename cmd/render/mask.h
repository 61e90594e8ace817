// What must not reach a terminal by accident: values of variables whose names speak of secrets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/model/value.h"

namespace tend::render {

bool secret_name(
    std::string_view key);  // PASS, SECRET, TOKEN, CREDENTIAL, …KEY, …PWD (but not PWD and OLDPWD)
// "****" for a secret's name; else the value, with the password of a URL replaced.
std::string masked(std::string_view key, std::string_view value);

// Words of a command line: "--token=x" and "--token x", "TOKEN=x", URLs.
std::vector<std::string> masked_words(const std::vector<std::string>& words);
// The same for any value under that name: texts below it are masked by their own keys, numbers only under a
// secret's name. What is in a list is words of a command line.
Value masked_value(std::string_view key, const Value& value);

}  // namespace tend::render
