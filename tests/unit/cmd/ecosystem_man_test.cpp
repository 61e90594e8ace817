#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "cmd/tend/generate.h"
#include "core/model/options.h"

using namespace tend;

TEST_CASE("the page of files of apps that is checked in is the one that is generated") {
  std::ifstream file(std::string(TEND_MAN) + "/tend-ecosystem.5");
  std::stringstream text;
  text << file.rdbuf();
  // tend generate man ecosystem > man/tend-ecosystem.5
  CHECK(text.str() == cli::generate_ecosystem_man());
}

TEST_CASE("the page has each option, and no line that a terminal would break") {
  const std::string page = cli::generate_ecosystem_man();
  for (const OptionRow& row : options())
    CHECK(page.find("\n.It Li " + std::string(row.key) + "\n") != std::string::npos);
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) CHECK_MESSAGE(line.size() <= 80, line);
}
