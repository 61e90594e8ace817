// JavaScript files are loaded by node itself, in a child; the daemon never comes here.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/config/document.h"
#include "core/config/files.h"
#include "core/config/node_child.h"

namespace tend::config {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::chrono::seconds kDeadline{10};
constexpr std::size_t kMostErrors = 64 * 1024;

// Under pm2 a module's default export is not unwrapped, and functions and promises are refused, as PM2 does.
constexpr char kLoader[] = R"js(
const fs = require('fs'), { pathToFileURL } = require('url'), { types } = require('util');
const Module = require('module'), load = require;
const [file, pm2] = [process.argv[1], process.argv[2] === 'pm2'];
// Those of this text, which a module in the file's place must not see.
for (const name of ['module', 'exports', 'require', '__filename', '__dirname']) delete globalThis[name];
const fail = (e) => {
  const stack = String((e && e.stack) || e).split('\n');
  const at = stack.find((l) => /^\s+at /.test(l) && l.includes(file)) || '';
  const where = /:\d+$/.test(stack[0]) ? stack[0] : at.replace(/^\s+at (.*\()?/, '').replace(/\)$/, '');
  const what = e instanceof Error ? e.name + ': ' + e.message : String(e);
  fs.writeSync(2, '\n' + (where ? where.replace(/^file:\/\//, '') + ': ' : '') + what.split('\n')[0] + '\n');
  process.exit(1);
};
const tidy = (_, v) => {
  if (typeof v === 'bigint' || (typeof v === 'number' && !Number.isFinite(v))) return String(v);
  return v instanceof RegExp ? v.source : v;
};
// CommonJS in a folder whose package.json says "type": "module": PM2 refuses it.
const old = (e) => {
  if (pm2 || !(e instanceof ReferenceError) || !/^(module|exports|require|__dirname|__filename) is not defined/.test(e.message)) throw e;
  const m = new Module(file, null);
  m.filename = file;
  m.paths = Module._nodeModulePaths(load('path').dirname(file));
  m._compile(fs.readFileSync(file, 'utf8'), file);
  return m.exports;
};
(async () => {
  let m;
  try {
    m = load(file);
  } catch (e) {
    if (e && /^ERR_REQUIRE_(ESM|ASYNC_MODULE)$/.test(e.code)) {
      try {
        m = await import(pathToFileURL(file));
      } catch (inner) {
        m = old(inner);
      }
    } else {
      m = old(e);
    }
  }
  if (!pm2) {
    if (m && m.default && !m.apps && (types.isModuleNamespaceObject(m) || m.__esModule)) m = m.default;
    if (typeof m === 'function') m = m();
    m = await m;
  }
  if (m === null || typeof m !== 'object' || types.isPromise(m)) throw new TypeError('the file exports no apps');
  const text = Buffer.from(JSON.stringify(m, tidy));
  for (let n = 0; n < text.length;) n += fs.writeSync(3, text, n);
  process.exit(0);
})().catch(fail);
)js";

struct Pipe {
  UniqueFd read, write;
};

// Both ends above the numbers that the child's descriptors get.
bool open_pipe(Pipe& p) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  const UniqueFd low_read(ends[0]), low_write(ends[1]);
  p.read = UniqueFd(::fcntl(ends[0], F_DUPFD_CLOEXEC, 10));
  p.write = UniqueFd(::fcntl(ends[1], F_DUPFD_CLOEXEC, 10));
  return p.read && p.write && ::fcntl(p.read.get(), F_SETFL, O_NONBLOCK) == 0;
}

// Reads what is there. False at the end of the stream and beyond the limit.
bool drain(int fd, std::string& text, std::size_t limit) {
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > limit) return false;
  }
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

Result<pid_t> spawn(const std::string& program, std::vector<std::string> words, const Context& context,
                    int out, int err) {
  std::vector<std::string> variables;
  for (const auto& [name, value] : context.environment) {
    // node would take descriptor 3 for its parent's channel.
    if (!name.starts_with("NODE_CHANNEL_") && name != "NODE_UNIQUE_ID")
      variables.push_back(name + '=' + value);
  }
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, 2, 1);
  ::posix_spawn_file_actions_adddup2(&actions, err, 2);
  ::posix_spawn_file_actions_adddup2(&actions, out, 3);
  ::posix_spawn_file_actions_addchdir_np(&actions, context.cwd.c_str());
  sigset_t none, pipe;
  ::sigemptyset(&none);
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &pipe);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int code = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, pointers(words).data(),
                                 pointers(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (code != 0) return fail_errno(program, code);
  return pid;
}

std::string last_line(std::string_view text) {
  text = trim(text);
  const auto newline = text.rfind('\n');
  return printable(trim(newline == std::string_view::npos ? text : text.substr(newline + 1)));
}

}  // namespace

Result<std::string> run_node(const std::string& code, const std::vector<std::string>& arguments,
                             const Context& context) {
  const std::string program = find_program("node", search_path(context), context.cwd);
  if (program.empty()) return fail("node is not in PATH, and only node reads JavaScript", ENOENT);
  Pipe out, err;
  if (!open_pipe(out) || !open_pipe(err)) return fail_errno("pipe");
  std::vector<std::string> words = {"node", "-e", code, "--"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const auto child = spawn(program, std::move(words), context, out.write.get(), err.write.get());
  if (!child) return tl::unexpected(child.error());
  out.write.reset();
  err.write.reset();

  const UniqueFd exited(static_cast<int>(::syscall(SYS_pidfd_open, *child, 0)));
  const auto deadline = Steady::now() + kDeadline;
  std::string text, errors;
  bool late = false, done = false, talking = true;
  while (!done) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now()).count();
    if (left <= 0) {
      late = true;
      break;
    }
    std::array<pollfd, 3> polls = {pollfd{out.read.get(), POLLIN, 0},
                                   pollfd{talking ? err.read.get() : -1, POLLIN, 0},
                                   pollfd{exited.get(), POLLIN, 0}};
    if (::poll(polls.data(), polls.size(), static_cast<int>(left) + 1) < 0 && errno != EINTR) break;
    if (polls[1].revents != 0) talking = drain(err.read.get(), errors, kMostErrors);
    if (polls[0].revents != 0 && !drain(out.read.get(), text, kLargestFile)) done = true;
    if (polls[2].revents != 0) {
      drain(out.read.get(), text, kLargestFile);
      done = true;
    }
  }
  if (talking) drain(err.read.get(), errors, kMostErrors);
  const bool large = text.size() > kLargestFile;
  // A child that closed descriptor 3 has only to end; any other is of no more use.
  if (done && !large) {
    pollfd ended{exited.get(), POLLIN, 0};
    ::poll(&ended, 1, 1000);
    if (talking) drain(err.read.get(), errors, kMostErrors);
  }
  ::kill(-*child, SIGKILL);
  int status = 0;
  while (::waitpid(*child, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) return fail("node needed more than 10 s", ETIMEDOUT);
  if (large) return fail("more than 16 MiB of apps", EFBIG);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    const std::string line = last_line(errors);
    return fail(line.empty() ? "node failed" : line);
  }
  return text;
}

Result<Document> load_javascript(const std::string& path, const Context& context) {
  const std::string file = absolute_path(path, context.cwd, context.user_home);
  if (!exists(file)) return fail_errno(path, ENOENT);
  auto text = run_node(kLoader, {file, context.pm2 ? "pm2" : "tend"}, context);
  if (!text) {
    // JSON that is named as JavaScript: PM2 refuses it.
    if (!context.pm2 && text.error().message.find("SyntaxError") != std::string::npos) {
      const auto source = read_text(file);
      if (source && trim(*source).starts_with('{')) {
        if (auto document = parse_lax_json(*source, path)) return document;
      }
    }
    return fail(path + ": " + text.error().message, text.error().code);
  }
  if (text->empty()) return fail(path + ": it ended node before its apps were known");
  auto document = parse_lax_json(*text, path);
  if (document) document->lines.clear();  // those of the output, not of the file
  return document;
}

}  // namespace tend::config
