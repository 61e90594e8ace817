#include "core/watch/watcher_linux.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace tend::watch {
namespace {

namespace fs = std::filesystem;

struct World {
  World() {
    char name[] = "/tmp/tend-watch-XXXXXX";
    dir = mkdtemp(name);
  }
  ~World() { fs::remove_all(dir); }
  std::shared_ptr<Scope> scope(const std::string& word = ".") const {
    auto s = std::make_shared<Scope>();
    s->roots.push_back(*root_of(word, dir));
    std::vector<std::string> none;
    s->rules = Rules::make({dir, false, {}, {}, {}, ""}, none);
    return s;
  }
  void write(const std::string& path) const {
    fs::create_directories(fs::path(dir + "/" + path).parent_path());
    std::ofstream(dir + "/" + path) << "x";
  }
  // What is told within `time` of `act`, which runs once the trees are walked.
  std::set<std::string> told(const std::shared_ptr<Scope>& s, std::function<void()> act,
                             Millis time = Millis{300}) {
    loop::Loop loop;
    std::set<std::string> paths;
    {
      Watcher watcher(loop);
      loop::Timer end(loop, [&] { loop.stop(); });
      watcher.add(s, Millis{50},
                  {[&](const std::string& path) { paths.insert(path.substr(dir.size() + 1)); },
                   [&](const Watcher::Ready& r) {
                     ready = r;
                     end.start(time);
                     act();
                   }});
      loop.run();
    }
    return paths;
  }
  std::string dir;
  Watcher::Ready ready;
};

TEST_CASE("files that are written, made, moved and removed below a root are told of") {
  World w;
  w.write("a/b/c.js");
  const auto paths = w.told(w.scope(), [&] {
    w.write("a/b/c.js");
    w.write("new.js");
    fs::rename(w.dir + "/new.js", w.dir + "/newer.js");
    w.write(".hidden");
    w.write("node_modules/x.js");
  });
  CHECK(paths == std::set<std::string>{"a/b/c.js", "new.js", "newer.js"});
  CHECK(w.ready.folders == 3);
}

TEST_CASE("a link to a folder is walked once, also when it leads up, unless links are not followed") {
  World w;
  World elsewhere;
  elsewhere.write("x/y.js");
  w.write("a/b.js");
  fs::create_directory_symlink(w.dir, w.dir + "/a/up");
  fs::create_directory_symlink(elsewhere.dir, w.dir + "/linked");
  const auto act = [&] { elsewhere.write("x/y.js"); };
  CHECK(w.told(w.scope(), act) == std::set<std::string>{"linked/x/y.js"});
  auto plain = w.scope();
  plain->follow_links = false;
  CHECK(w.told(plain, act).empty());
}

TEST_CASE("a root that is removed and made again is watched again") {
  World w;
  w.write("dist/a.js");
  loop::Loop loop;
  int seen = 0;
  {
    Watcher watcher(loop);
    loop::Timer again(loop, [&] { w.write("dist/b.js"); });
    loop::Timer later(loop, [&] {
      seen = 0;
      w.write("dist/c.js");
    });
    loop::Timer end(loop, [&] { loop.stop(); });
    watcher.add(w.scope("dist"), Millis{1000},
                {[&](const std::string&) { ++seen; },
                 [&](const Watcher::Ready&) {
                   fs::remove_all(w.dir + "/dist");
                   again.start(Millis{200});
                   later.start(Millis{500});
                   end.start(Millis{800});
                 }});
    loop.run();
  }
  CHECK(seen > 0);
}

TEST_CASE("looking at times and sizes tells of the same") {
  World w;
  w.write("a.js");
  auto s = w.scope();
  s->poll = true;
  Seen before = look(*s);
  CHECK(first_difference(before, look(*s)).empty());
  w.write("b/c.js");
  CHECK(first_difference(before, look(*s)) == w.dir + "/b/c.js");
  before = look(*s);
  fs::remove(w.dir + "/a.js");
  CHECK(first_difference(before, look(*s)) == w.dir + "/a.js");
}

TEST_CASE("46: more changes than the kernel's queue holds are told of, and what came meanwhile is watched") {
  World w;
  loop::Loop loop;
  bool lost = false;
  std::set<std::string> paths;
  {
    Watcher watcher(loop);
    loop::Timer later(loop, [&] {
      paths.clear();
      w.write("late/x.js");
    });
    loop::Timer end(loop, [&] { loop.stop(); });
    watcher.add(w.scope(), Millis{1000},
                {[&](const std::string& path) {
                   lost = lost || path.starts_with("more changes");
                   paths.insert(path);
                 },
                 [&](const Watcher::Ready&) {
                   // The loop reads nothing while this runs.
                   for (int i = 0; i < 12000; ++i) w.write("f" + std::to_string(i));
                   w.write("late/y.js");
                   later.start(Millis{600});
                   end.start(Millis{900});
                 }});
    loop.run();
  }
  CHECK(lost);
  CHECK(paths.count(w.dir + "/late/x.js") == 1);
}

TEST_CASE("apps that watch the same folder are told apart, and one may go") {
  World w;
  w.write("a.js");
  loop::Loop loop;
  int first = 0, second = 0;
  {
    Watcher watcher(loop);
    loop::Timer end(loop, [&] { loop.stop(); });
    uint32_t one = 0;
    const auto nothing = [](const Watcher::Ready&) {};
    one = watcher.add(w.scope(), Millis{1000},
                      {[&](const std::string&) {
                         ++first;
                         watcher.remove(one);
                       },
                       nothing});
    watcher.add(w.scope(), Millis{1000},
                {[&](const std::string&) { ++second; },
                 [&](const Watcher::Ready&) {
                   end.start(Millis{200});
                   w.write("a.js");
                   w.write("b.js");
                 }});
    loop.run();
    CHECK(watcher.marks() == 1);
  }
  CHECK(first == 1);
  CHECK(second >= 2);
}

}  // namespace
}  // namespace tend::watch
