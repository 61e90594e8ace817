// What must not reach a terminal by accident: values of variables whose names speak of secrets.
#pragma once

#include <string>
#include <string_view>

namespace tend::render {

bool secret_name(
    std::string_view key);  // PASS, SECRET, TOKEN, CREDENTIAL, …KEY, …PWD (but not PWD and OLDPWD)
// "****" for a secret's name; else the value, with the password of a URL replaced.
std::string masked(std::string_view key, std::string_view value);

}  // namespace tend::render
