// What may stand at the end of a command line, for the completion of any shell: the shells' scripts only ask
// and show.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tend::cli {

struct Candidate {
  std::string text;
  std::string help;  // one line, for shells that show it
};

struct Completion {
  std::vector<Candidate> candidates;
  bool files = false;  // names of files fit as well
};

// `words` without the program's name; the last one is being typed and may be empty. `apps` are names and
// namespaces. Candidates begin with what is typed. Pure.
Completion complete_words(const std::vector<std::string>& words, const std::vector<std::string>& apps);

// The script for "bash", "zsh" or "fish"; "" for another shell.
std::string completion_script(std::string_view shell, std::string_view program);

}  // namespace tend::cli
