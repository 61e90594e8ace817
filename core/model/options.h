// The option table: one declarative row per app option. Flags, ecosystem fields with their aliases, units,
// validation, dump, describe, man page and completion derive from it. Order is the order of the man page.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "core/base/result.h"
#include "core/model/app_spec.h"

namespace tend {

// The slot's C++ type is the option's type and unit.
using Slot = std::variant<std::string AppSpec::*, bool AppSpec::*, int64_t AppSpec::*, Millis AppSpec::*,
                          Bytes AppSpec::*, StringList AppSpec::*, IntList AppSpec::*, Env AppSpec::*,
                          Value AppSpec::*>;

struct OptionRow {
  std::string_view key;          // canonical name: file, dump, describe
  std::string_view aliases;      // other accepted names, PM2's among them, space-separated
  std::string_view flag;         // "-i,--instances"; empty: files only. A bool's flag may be "--no-x" (sets false)
  std::string_view accepts;      // "fork|cluster", "0..1024"; empty: whatever the type takes. Check and error text
  std::string_view pm2_key;      // the name in jlist's pm2_env when it differs from `key`; empty: the same
  // PM2's stricter rule for files under the name pm2: types joined by '|' ("string" "number" "boolean" "list"
  // "object"), then optionally ";min=N", then optionally "/regex/hint". Empty: any type.
  std::string_view pm2_accepts;
  Slot slot;
  std::string_view help;         // one line
};

// What was wrong with a value: the caller adds file, app and field.
struct Bad {
  std::string found;
  std::string accepted;
};

std::span<const OptionRow> options();
// By key or alias, in snake_case or camelCase; nullptr when unknown.
const OptionRow* find_option(std::string_view name);
// Of two spellings of one option in a file the one of the lower rank counts, as PM2 7.0.4 has it: the name
// that PM2 itself uses, the key, the aliases in their order.
std::size_t spelling_rank(const OptionRow& row, std::string_view name);
std::size_t index_of(const OptionRow& row);
// The known option name nearest to an unknown one, "" if none is near.
std::string_view nearest_option(std::string_view name);

// Reads `v` into the row's slot and marks it as given. Units everywhere: "10s" or 10000, "1G" or bytes.
tl::expected<void, Bad> assign(AppSpec& spec, const OptionRow& row, const Value& v);
Value get(const AppSpec& spec, const OptionRow& row);  // assign(get(x)) is x; times and sizes as plain numbers
std::string show(const AppSpec& spec, const OptionRow& row);  // for people: "10s", "1G", "a b"

// The whole spec as a map, keyed by row key: RPC, journal and dump use this one form. It holds what is given or
// resolved, the list "resolved" of the keys that are not the user's, and "extra", "source", "typed" and "origins" unless
// empty.
Value to_value(const AppSpec& spec);
// Reads the form above back; unknown keys are ignored (a newer version wrote them). Error: a wrong value.
Result<AppSpec> spec_from_value(const Value& v);

}  // namespace tend
