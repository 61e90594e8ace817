#include "cmd/tend/completion.h"

#include "cmd/tend/command.h"
#include "core/base/text.h"

namespace tend::cli {
namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

void offer(Completion& c, std::string_view typed, std::string_view text, std::string_view help) {
  if (text.starts_with(typed)) c.candidates.push_back({std::string(text), std::string(help)});
}

void offer_commands(Completion& c, std::string_view typed) {
  for (const auto group : groups()) {
    for (const Command& command : group) {
      if (command.group.empty()) continue;  // known, but not part of tend
      offer(c, typed, command.name, command.help);
      for (const auto& alias : split(command.aliases, ' '))
        if (!alias.empty()) offer(c, typed, alias, command.help);
    }
  }
}

// Whether the flag before the cursor takes the word at the cursor.
bool takes_value(std::string_view word) {
  if (!word.starts_with("-") || contains(word, "=")) return false;
  for (const FlagRow& row : flag_rows()) {
    if (row.value.empty() || row.value[0] == '[') continue;
    for (const auto& name : split(row.names, ','))
      if (name == word) return true;
  }
  return false;
}

// "fork|cluster" of "<fork|cluster>".
void offer_values(Completion& c, std::string_view flag, std::string_view typed) {
  c.files = true;
  for (const FlagRow& row : flag_rows()) {
    for (const auto& name : split(row.names, ',')) {
      if (name != flag || !contains(row.value, "|")) continue;
      c.files = false;
      for (const auto& value : split(std::string_view(row.value).substr(1, row.value.size() - 2), '|'))
        offer(c, typed, value, "");
    }
  }
}

constexpr std::string_view kBash = R"sh(# bash completion of TEND: eval "$(TEND completion bash)"
_TEND() {
  local IFS=$'\n' line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == ':files' ]]; then
      COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
    else
      COMPREPLY+=("${line%%$'\t'*}")
    fi
  done < <(command TEND __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o filenames -F _TEND TEND
)sh";

constexpr std::string_view kZsh = R"sh(#compdef TEND
# zsh completion of TEND: eval "$(TEND completion zsh)"
_TEND() {
  local line
  local -a found
  for line in "${(@f)$(command TEND __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == ':files' ]]; then
      _files
    elif [[ -n $line ]]; then
      found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    fi
  done
  _describe 'TEND' found
}
compdef _TEND TEND
)sh";

constexpr std::string_view kFish = R"sh(# fish completion of TEND: TEND completion fish | source
function __TEND_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in (command TEND __complete -- $words[2..-1] 2>/dev/null)
    if test $line = ':files'
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c TEND -f -a '(__TEND_complete)'
)sh";

}  // namespace

Completion complete_words(const std::vector<std::string>& words, const std::vector<std::string>& apps) {
  Completion c;
  const std::string typed = words.empty() ? "" : words.back();
  std::vector<std::string> before(words.begin(), words.empty() ? words.end() : words.end() - 1);
  for (const auto& word : before) {
    if (word == "--") {  // the app's own arguments
      c.files = true;
      return c;
    }
  }
  if (!before.empty() && takes_value(before.back())) {
    offer_values(c, before.back(), typed);
    return c;
  }
  if (typed.starts_with("-")) {
    for (const FlagRow& row : flag_rows())
      for (const auto& name : split(row.names, ',')) offer(c, typed, name, row.help);
    return c;
  }
  const Command* command = nullptr;
  for (std::size_t i = 0; i < before.size() && command == nullptr; ++i) {
    const bool value = before[i].starts_with("-") || (i > 0 && takes_value(before[i - 1]));
    if (!value) command = find_command(before[i]);
  }
  if (command == nullptr || command->name == "help") {
    offer_commands(c, typed);
    return c;
  }
  const std::string_view operands = command->operands;
  if (contains(operands, "app") || contains(operands, "target")) {
    for (const auto& app : apps) offer(c, typed, app, "app");
    if (!apps.empty()) offer(c, typed, "all", "every app");
  }
  c.files = contains(operands, "file") || contains(operands, "script") || contains(operands, "path");
  // Words that the operands spell out: ready|stopped.
  for (const auto& part : split(operands, ' ')) {
    if (!contains(part, "|") || contains(part, "<") || contains(part, "…")) continue;
    for (const auto& word : split(part, '|'))
      if (word.find_first_of("[]") == std::string::npos) offer(c, typed, word, "");
  }
  return c;
}

std::string completion_script(std::string_view shell, std::string_view program) {
  const std::string_view text = shell == "bash"   ? kBash
                                : shell == "zsh"  ? kZsh
                                : shell == "fish" ? kFish
                                                  : "";
  constexpr std::string_view kName = "TEND";
  std::string out(text);
  for (auto at = out.find(kName); at != std::string::npos; at = out.find(kName, at + program.size()))
    out.replace(at, kName.size(), program);
  return out;
}

}  // namespace tend::cli
