#include "src/chat/builtins.h"

#include <algorithm>

#include "src/base/printable.h"

namespace tern::chat {
namespace {

/// Takes the next word off a signature.
std::string_view next_parameter(std::string_view& signature) {
  const std::string_view word = signature.substr(0, signature.find(' '));
  signature.remove_prefix(std::min(signature.size(), word.size() + 1));
  return word;
}

std::optional<Value> take_named(Arguments& arguments, std::string_view name) {
  for (auto it = arguments.named.begin(); it != arguments.named.end(); ++it) {
    if (it->first != name) continue;
    Value value = std::move(it->second);
    arguments.named.erase(it);
    return value;
  }
  return std::nullopt;
}

/// Moves what parameters take out of `arguments`, the rest stays there.
std::vector<std::optional<Value>> bind(Run& run, const Builtin& builtin, Arguments& arguments) {
  std::vector<std::optional<Value>> values;
  std::size_t n_taken = 0;
  bool takes_more = false;
  bool takes_named = false;
  for (std::string_view rest = builtin.signature; !rest.empty();) {
    std::string_view name = next_parameter(rest);
    if (name == "*" || name == "**") {
      (name == "*" ? takes_more : takes_named) = true;
      continue;
    }
    const bool optional = name.ends_with('?');
    if (optional) name.remove_suffix(1);
    std::optional<Value> value;
    if (!takes_more && n_taken < arguments.positional.size()) {  // after "*" by name only
      value = std::move(arguments.positional[n_taken++]);
    } else {
      value = take_named(arguments, name);
    }
    if (!value && !optional) run.fail("{}: expected an argument '{}', found none", builtin.name, name);
    values.push_back(std::move(value));
  }
  arguments.positional.erase(arguments.positional.begin(),
                             arguments.positional.begin() + static_cast<std::ptrdiff_t>(n_taken));
  if (!takes_more && !arguments.positional.empty()) {
    run.fail("{}: expected at most {} arguments, found {}", builtin.name, n_taken,
             n_taken + arguments.positional.size());
  }
  if (!takes_named && !arguments.named.empty()) {
    run.fail("{}: expected the arguments ({}), found '{}'", builtin.name, builtin.signature,
             printable(arguments.named[0].first));
  }
  return values;
}

const Builtin* find_in(std::span<const Builtin> table, std::string_view name) noexcept {
  for (const Builtin& builtin : table) {
    if (builtin.name == name) return &builtin;
  }
  return nullptr;
}

}  // namespace

const Text& Call::text(std::size_t i) const {
  const Text* text = values[i]->text();
  if (text == nullptr) run.fail("expected a string as argument {}, found {}", i + 1, describe(*values[i]));
  return *text;
}

std::int64_t Call::integer_or(std::size_t i, std::int64_t otherwise) const {
  if (!has(i)) return otherwise;
  std::int64_t number = 0;
  if (values[i]->integer(number) == nullptr) {
    run.fail("expected an integer as argument {}, found {}", i + 1, describe(*values[i]));
  }
  return number;
}

const Builtin* find_filter(std::string_view name) noexcept {
  const Builtin* found = find_in(text_filters(), name);
  return found == nullptr ? find_in(list_filters(), name) : found;
}

const Builtin* find_test(std::string_view name) noexcept { return find_in(tests(), name); }

Value invoke(Run& run, const Builtin& builtin, const Value& self, Arguments arguments) {
  run.step(1 + arguments.positional.size() + arguments.named.size());
  Call call{run, self};
  call.values = bind(run, builtin, arguments);
  call.rest = std::move(arguments);
  return builtin.function(call);
}

}  // namespace tern::chat
