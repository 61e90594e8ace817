#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "fixture.h"

namespace tend::logs {
namespace {

const StreamKey kOut{1, 1, Channel::out};
const StreamKey kErr{1, 1, Channel::err};

TEST_CASE("50 MB arrive in a raw file byte for byte") {
  Fixture f;
  auto out = f.open(kOut, f.to(f.folder / "a/b/out.log"));
  std::string block(1 << 20, '\0');
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>((i * 2654435761u) >> 13);
  std::thread app([&, fd = std::move(out)]() mutable {
    for (int i = 0; i < 50; ++i) {
      for (std::size_t at = 0; at < block.size();) {
        at += static_cast<std::size_t>(::write(fd.get(), block.data() + at, block.size() - at));
      }
    }
    fd.reset();
  });
  f.until([&] {
    return std::filesystem::exists(f.folder / "a/b/out.log") &&
           std::filesystem::file_size(f.folder / "a/b/out.log") == 50u << 20;
  });
  app.join();
  f.finish(kOut);
  const std::string got = slurp(f.folder / "a/b/out.log");
  bool same = got.size() == 50u << 20;
  for (std::size_t i = 0; same && i < 50; ++i) same = got.compare(i << 20, 1 << 20, block) == 0;
  CHECK(same);
  struct stat st {};
  CHECK(::stat((f.folder / "a/b/out.log").c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
  CHECK(::stat((f.folder / "a").c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0700);
  CHECK(f.pocket.held.empty());
}

TEST_CASE("finish of an empty pipe calls done, and not before it returns") {
  Fixture f;
  f.open(kOut, f.to(f.folder / "out.log")).reset();
  bool done = false;
  f.writer->finish(kOut, [&] { done = true; });
  CHECK_FALSE(done);
  f.until([&] { return done; });
  CHECK(f.pocket.held.empty());
}

void two_streams(bool lines) {
  Fixture f;
  StreamOptions options = f.to(f.folder / "both.log");
  if (lines) options.date_format = "[T]";
  auto out = f.open(kOut, options);
  auto err = f.open(kErr, options);
  const auto app = [](UniqueFd fd, const char* word) {
    for (int i = 0; i < 100000; ++i) {
      const std::string line = word + std::to_string(i) + "\n";
      if (::write(fd.get(), line.data(), line.size()) < 0) return;
    }
  };
  std::thread a(app, std::move(out), "out "), b(app, std::move(err), "err ");
  const auto count = [&] {
    const std::string text = slurp(f.folder / "both.log");
    return std::count(text.begin(), text.end(), '\n');
  };
  f.until([&] { return count() == 200000; });
  a.join();
  b.join();
  f.finish(kOut);
  f.finish(kErr);
  std::ifstream in(f.folder / "both.log");
  int next[2] = {0, 0};
  bool whole = true;
  const std::string stamp = lines ? "T: " : "";
  for (std::string line; whole && std::getline(in, line);) {
    const bool is_err = line.substr(stamp.size(), 3) == "err";
    whole = line == stamp + (is_err ? "err " : "out ") + std::to_string(next[is_err]++);
  }
  CHECK(whole);
  CHECK(next[0] == 100000);
  CHECK(next[1] == 100000);
}

TEST_CASE("two streams in one file keep every line whole and in order") {
  SUBCASE("raw") { two_streams(false); }
  SUBCASE("lines") { two_streams(true); }
}

TEST_CASE("a file that is truncated has no hole") {
  Fixture f;
  const std::string path = f.folder / "t.log";
  auto out = f.open(kOut, f.to(path));
  put(out, std::string(1000, 'a'));
  f.until([&] { return slurp(path).size() == 1000; });
  REQUIRE(::truncate(path.c_str(), 0) == 0);
  put(out, "after\n");
  f.until([&] { return !slurp(path).empty(); });
  CHECK(slurp(path) == "after\n");
}

TEST_CASE("what somebody else appends is not overwritten") {
  Fixture f;
  const std::string path = f.folder / "t.log";
  auto out = f.open(kOut, f.to(path));
  put(out, "one\n");
  f.until([&] { return slurp(path) == "one\n"; });
  std::ofstream(path, std::ios::app) << "other\n";
  put(out, "two\n");
  f.finish(kOut);
  CHECK(slurp(path) == "one\nother\ntwo\n");
}

TEST_CASE("a renamed file is left and a new one opened") {
  Fixture f;
  const std::string path = f.folder / "t.log", old = f.folder / "t.log.1";
  auto out = f.open(kOut, f.to(path));
  put(out, "one\n");
  f.until([&] { return slurp(path) == "one\n"; });
  REQUIRE(::rename(path.c_str(), old.c_str()) == 0);
  SUBCASE("at once when it is said") { f.writer->reopen(); }
  SUBCASE("within about a second by itself") {
    loop::Timer pause(f.loop, [&] { f.loop.stop(); });
    pause.start({1100});
    f.loop.run();
  }
  put(out, "two\n");
  f.finish(kOut);
  CHECK(slurp(old) == "one\n");
  CHECK(slurp(path) == "two\n");
}

TEST_CASE("31: a symbolic link and a FIFO are refused, and the app does not block") {
  Fixture f;
  const std::string path = f.folder / "t.log";
  SUBCASE("symbolic link") { REQUIRE(::symlink((f.folder / "victim").c_str(), path.c_str()) == 0); }
  SUBCASE("FIFO") { REQUIRE(::mkfifo(path.c_str(), 0600) == 0); }
  UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto out = f.open(kOut, f.to(path));
  std::thread app([&] { put(out, std::string(300000, 'x')); });
  f.until([&] { return f.writer->dropped(1) == 300000; });
  app.join();
  CHECK(f.log.lines.size() == 1);
  CHECK_FALSE(std::filesystem::exists(f.folder / "victim"));
}

TEST_CASE("/dev/null swallows without counting") {
  Fixture f;
  auto out = f.open(kOut, f.to("/dev/null"));
  std::atomic<bool> written = false;
  std::thread app([&] {
    put(out, std::string(300000, 'x'));
    written = true;
  });
  f.until([&] { return written.load(); });
  app.join();
  f.finish(kOut);
  CHECK(f.writer->dropped(1) == 0);
}

void full_disk(bool lines) {
  Fixture f;
  const std::string disk = f.folder / "disk";
  REQUIRE(::mkdir(disk.c_str(), 0700) == 0);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64k") != 0) {
    MESSAGE("skipped: mounting a small tmpfs takes root");
    return;
  }
  StreamOptions options = f.to(disk + "/t.log");
  if (lines) options.date_format = "[T]";
  auto out = f.open(kOut, options);
  std::string text;
  while (text.size() < 400000) text += "some line of text\n";
  std::thread app([&] { put(out, text); });
  f.until([&] {
    const auto wrote = slurp(disk + "/t.log");
    const auto stamps = lines ? 3 * std::count(wrote.begin(), wrote.end(), '\n') : 0;
    return f.writer->dropped(1) > 0 &&
           wrote.size() - static_cast<std::size_t>(stamps) + f.writer->dropped(1) == text.size();
  });
  app.join();
  CHECK(f.log.lines.size() >= 1);
  REQUIRE(::truncate((disk + "/t.log").c_str(), 0) == 0);
  put(out, "resumed\n");
  out.reset();
  f.finish(kOut);
  CHECK(slurp(disk + "/t.log") == (lines ? "T: resumed\n" : "resumed\n"));
  f.writer.reset();
  REQUIRE(::umount(disk.c_str()) == 0);
}

TEST_CASE("a full disk costs counted bytes, not the app, and writing resumes") {
  SUBCASE("raw") { full_disk(false); }
  SUBCASE("lines") { full_disk(true); }
}

TEST_CASE("a combined file gets both streams, dated like their own files") {
  Fixture f;
  StreamOptions options = f.to(f.folder / "o.log");
  options.combined = f.folder / "all.log";
  options.date_format = "[T]";
  auto out = f.open(kOut, options);
  options.path = f.folder / "e.log";
  auto err = f.open(kErr, options);
  put(out, "one\n");
  f.until([&] { return slurp(f.folder / "all.log") == "T: one\n"; });
  put(err, "two\nend");
  out.reset();
  err.reset();
  f.finish(kErr);
  f.finish(kOut);
  CHECK(slurp(f.folder / "o.log") == "T: one\n");
  CHECK(slurp(f.folder / "e.log") == "T: two\nT: end");
  CHECK(slurp(f.folder / "all.log") == "T: one\nT: two\nT: end");
  CHECK(f.pocket.held.empty());
}

TEST_CASE("22: who holds the pipe of a process that ended is not waited for, and what it says is kept") {
  Fixture f;
  StreamOptions options = f.to(f.folder / "t.log");
  SUBCASE("raw") {}
  SUBCASE("lines") { options.date_format = "[T]"; }
  const std::string stamp = options.date_format.empty() ? "" : "T: ";
  auto out = f.open(kOut, options);
  put(out, "one\n");
  f.finish(kOut);
  CHECK(slurp(options.path) == stamp + "one\n");
  put(out, "left behind\n");
  f.until([&] { return slurp(options.path) == stamp + "one\n" + stamp + "left behind\n"; });
  CHECK(f.pocket.held.size() == 1);
  out.reset();
  f.until([&] { return f.pocket.held.empty(); });
}

TEST_CASE("a line much longer than the buffer goes through in bounded pieces") {
  Fixture f;
  StreamOptions options = f.to(f.folder / "t.log");
  options.date_format = "[T]";
  auto out = f.open(kOut, options);
  const std::string line(3000001, 'x');
  std::thread app([&] { put(out, line + "\nshort\n"); });
  f.until([&] { return slurp(f.folder / "t.log").size() == line.size() + 13; });
  app.join();
  CHECK(slurp(f.folder / "t.log") == "T: " + line + "\nT: short\n");
}

TEST_CASE("a successor continues where the held file stands, and with the half line that was taken") {
  Fixture f;
  StreamOptions options = f.to(f.folder / "t.log");
  SUBCASE("raw") {}
  SUBCASE("lines") { options.date_format = "[T]"; }
  const std::string stamp = options.date_format.empty() ? "" : "T: ";
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd kept(ends[0]), out(ends[1]);
  f.writer->add(kOut, UniqueFd(::fcntl(kept.get(), F_DUPFD_CLOEXEC, 3)), options);
  put(out, "one\nha");
  f.until([&] {
    int left = 1;
    return slurp(options.path).size() >= 4 + stamp.size() && ::ioctl(kept.get(), FIONREAD, &left) == 0 &&
           left == 0;
  });
  f.writer.reset();
  f.writer = std::make_unique<LogWriter>(f.loop, f.clock, f.log, f.pocket);
  CHECK(f.pocket.held.size() == (stamp.empty() ? 1 : 2));
  for (auto& [name, fd] : f.pocket.held)
    f.writer->give_back(name, UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3)));
  f.writer->add(kOut, std::move(kept), options);
  put(out, "lf\n");
  f.finish(kOut);
  CHECK(slurp(options.path) == stamp + "one\n" + stamp + "half\n");
}

TEST_CASE("the writer may be destroyed while jobs are under way") {
  for (int round = 0; round < 20; ++round) {
    Fixture f;
    std::vector<UniqueFd> apps;
    for (uint32_t id = 0; id < 8; ++id) {
      apps.push_back(f.open({id, 1, Channel::out}, f.to(f.folder / "same.log")));
      put(apps.back(), std::string(60000, 'x'));
    }
    int turns = round % 4;
    while (turns-- > 0) {
      f.loop.defer([&] { f.loop.stop(); });
      f.loop.run();
    }
    f.writer.reset();
  }
}

TEST_CASE("prepare creates the file and its folders") {
  Fixture f;
  f.writer->prepare(f.to(f.folder / "x/y/p.log"));
  f.until([&] { return std::filesystem::exists(f.folder / "x/y/p.log"); });
}

TEST_CASE("finish without a stream still answers") {
  Fixture f;
  f.finish(kOut);
}

}  // namespace
}  // namespace tend::logs
