#include "core/supervisor/input_pipe.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <optional>

using namespace tend;
using namespace tend::supervisor;

namespace {

struct World {
  loop::Loop loop;
  UniqueFd app;
  std::optional<InputPipe> pipe;
  std::vector<std::string> told;  // "" for success, in order

  explicit World(Millis patience = Millis{5000}) {
    ::signal(SIGPIPE, SIG_IGN);  // as the daemon
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    app.reset(ends[0]);
    pipe.emplace(loop, UniqueFd(ends[1]), patience);
  }
  ~World() { pipe.reset(); }
  void write(std::string text) {
    pipe->write(std::move(text), [this](const Status& s) { told.push_back(s ? "" : s.error().message); });
  }
  std::string read(std::size_t most) {
    std::string text(most, '\0');
    const ssize_t n = ::read(app.get(), text.data(), text.size());
    text.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return text;
  }
  void run(Millis time) {
    loop::Timer limit(loop, [this] { loop.stop(); });
    limit.start(time);
    loop.run();
  }
};

const std::string kBig(200'000, 'b');  // a pipe takes 64 KiB

}  // namespace

TEST_CASE("a text that fits is in the pipe at once, and the app's end stays blocking") {
  World w;
  w.write("one\n");
  w.write("");
  CHECK(w.told == std::vector<std::string>{"", ""});
  CHECK(w.read(100) == "one\n");
  CHECK((::fcntl(w.app.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("texts that wait arrive whole and in order when the app reads on") {
  World w;
  w.write(kBig);
  w.write("after\n");
  CHECK(w.told.empty());
  std::string got;
  while (got.size() < kBig.size() + 6) {
    got += w.read(kBig.size());
    w.run(Millis{2});
  }
  CHECK(got == kBig + "after\n");
  CHECK(w.told == std::vector<std::string>{"", ""});
}

TEST_CASE(
    "an app that does not read is told of; what was begun is ended when it reads on, the rest is not sent") {
  World w(Millis{20});
  w.write(kBig);
  w.write("lost\n");
  w.run(Millis{60});
  const std::string deaf = "does not read its standard input";
  CHECK(w.told == std::vector<std::string>{deaf, deaf});
  w.write("later\n");
  w.run(Millis{60});
  CHECK(w.told.size() == 3);
  CHECK(w.told.back() == deaf);
  std::string got;
  while (got.size() < kBig.size()) {
    got += w.read(kBig.size());
    w.run(Millis{2});
  }
  w.write("again\n");
  CHECK(w.told.back() == "");
  CHECK(got + w.read(100) == kBig + "again\n");
}

TEST_CASE("no more than 1 MiB waits") {
  World w;
  w.write(std::string(900'000, 'x'));
  w.write(std::string(900'000, 'y'));
  CHECK(w.told == std::vector<std::string>{"does not read its standard input"});
}

TEST_CASE("a closed standard input is an error, for those who wait too") {
  World w;
  w.write(kBig);
  w.app.reset();
  w.run(Millis{20});
  w.write("x");
  CHECK(w.told == std::vector<std::string>{"has closed its standard input", "has closed its standard input"});
}

TEST_CASE("whoever waits is told when the process ends") {
  World w;
  w.write(kBig);
  w.pipe.reset();
  CHECK(w.told == std::vector<std::string>{"ended before it read its standard input"});
}
