#include "tests/unit/config/support.h"

using namespace tend;
using namespace tend::config;

TEST_CASE("a dotenv file is read with quotes, export and comments") {
  const Folder folder;
  const auto env = read_dotenv(
      folder.write(".env",
                   "# c\n\nA=1\nexport B = two words # c\nC='x # y\\n'\nD=\"a\\nb \\\"q\\\"\"\nE=\n"
                   "F=\"two\nlines\" # c\r\nG=a#b\nA=2\nH=`x`\nI=#none"));
  REQUIRE(env.has_value());
  CHECK(*env == Env{{"A", "2"},
                    {"B", "two words"},
                    {"C", "x # y\\n"},
                    {"D", "a\nb \"q\""},
                    {"E", ""},
                    {"F", "two\nlines"},
                    {"G", "a#b"},
                    {"H", "x"},
                    {"I", ""}});
}

TEST_CASE("a wrong line of a dotenv file is named") {
  const Folder folder;
  const std::string file = folder.write("e", "A=\"1\n2\"\noops\n");
  CHECK(read_dotenv(file).error().message == file + ":3: found no =; accepted: NAME=value");
  CHECK_FALSE(read_dotenv(folder.write("f", "A B=1")).has_value());
  CHECK_FALSE(read_dotenv(folder.write("g", "A='1")).has_value());
  CHECK_FALSE(read_dotenv(folder.write("h", std::string("A=1\0x", 5))).has_value());
  CHECK(read_dotenv(folder.path() + "/none").error().code == ENOENT);
  CHECK_FALSE(read_dotenv(folder.path()).has_value());
  const std::string fifo = folder.path() + "/fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK_FALSE(read_dotenv(fifo).has_value());
}
