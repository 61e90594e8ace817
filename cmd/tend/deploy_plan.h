// What a deployment does, as steps: pure, nothing is run here. The `deploy` section of an ecosystem file, one
// entry for each environment (compat.md 11.2).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/model/value.h"

namespace tend::cli {

// One machine that is deployed to. Strings as written; nothing is quoted yet.
struct DeployTarget {
  std::string host;  // "localhost": by a shell of this machine, without ssh
  std::string user, port, key;
  std::vector<std::string> ssh_options;  // each for ssh -o
  bool forward_agent = false, needs_tty = false;
  std::string path, repo, ref;
  bool shallow = false;  // fetch: "fast"
  std::vector<std::pair<std::string, std::string>> env;
  std::string pre_setup, post_setup, pre_deploy_local, pre_deploy, post_deploy;
};

// What is asked: "setup", "deploy", "revert", "current", "previous", "exec", "list".
struct DeployTask {
  std::string verb;
  std::string argument;  // revert: how many; exec: the command; deploy: a ref instead of the target's, or ""
};

struct DeployStep {
  std::string title;              // "" says nothing
  std::vector<std::string> argv;  // empty: there is only something to say
  std::string input_file;         // local file for its standard input; "" is the caller's
};

// The machines of an environment, in order. Error: what is missing or wrong, with its key.
// `default_post_deploy` is run where the section has none.
Result<std::vector<DeployTarget>> deploy_targets(const Value& section, std::string_view environment,
                                                 const std::string& default_post_deploy);
// The steps on one machine. `is_file` tells whether a hook names a local script.
Result<std::vector<DeployStep>> deploy_steps(const DeployTarget& target, const DeployTask& task,
                                             bool (*is_file)(const std::string&));
// For a POSIX shell: one word, whatever is in it. A leading ~/ stays the remote user's home.
std::string shell_word(std::string_view text);

}  // namespace tend::cli
