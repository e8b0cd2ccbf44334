// Functions that a template may call by name.

#include <array>

#include "src/base/printable.h"
#include "src/chat/builtins.h"
#include "src/chat/date.h"
#include "src/chat/operations.h"

namespace tern::chat {
namespace {

constexpr std::size_t kNamespaceSteps = 20;  // it lives as long as the run
constexpr std::size_t kShownMessage = 300;   // characters of raise_exception()'s message

/// dict(...) and namespace(...): one dict or list of pairs, and names with values.
std::vector<Dict::Entry> collect_entries(Call& call) {
  std::vector<Dict::Entry> entries;
  if (call.values[0]) {
    const Dict* dict = call[0].dict();
    const auto pairs = dict != nullptr ? nullptr : elements(call.run, call[0]);
    if (dict != nullptr) entries = dict->entries;
    for (std::size_t i = 0; pairs != nullptr && i < pairs->size(); ++i) {
      const auto pair = elements(call.run, (*pairs)[i]);
      if (pair->size() != 2) call.run.fail("expected a key and its value, found {} values", pair->size());
      put(call.run, entries, (*pair)[0], (*pair)[1]);
    }
  }
  for (const auto& [name, value] : call.rest.named) put(call.run, entries, call.run.text(from_utf8(name)), value);
  return entries;
}

Value make_dict(Call& call) { return call.run.dict(collect_entries(call)); }

Value make_namespace(Call& call) {
  call.run.step(kNamespaceSteps);
  Namespace* space = call.run.make_namespace();
  for (auto& [key, value] : collect_entries(call)) {
    if (key.text() == nullptr) call.run.fail("expected names in a namespace, found {}", describe(key));
    call.run.step(kVariableSteps + key.text()->size() / 64);
    space->variables.insert_or_assign(to_utf8(*key.text()), std::move(value));
  }
  return space;
}

/// range(stop), range(start, stop), range(start, stop, step).
Value make_range(Call& call) {
  const bool has_start = call.values[1].has_value();
  const std::int64_t start = has_start ? call.integer_or(0, 0) : 0;
  const std::int64_t stop = call.integer_or(has_start ? 1 : 0, 0);
  const std::int64_t step = call.integer_or(2, 1);
  if (step == 0) call.run.fail("expected a step of a range, found zero");
  std::vector<Value> items;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (items.size() == static_cast<std::size_t>(kMaxRange)) {
      call.run.refuse("expected a range of at most {}, found more", kMaxRange);
    }
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return call.run.list(std::move(items), ListKind::kRange);
}

Value raise_exception(Call& call) {
  fail_at(call.run.line, ErrorKind::kInvalidArgument,
          fmt::format("the template refuses these messages: {}",
                      printable(to_utf8(to_text(call.run, call[0])), kShownMessage)));
}

Value strftime_now(Call& call) { return call.run.text(format_date(call.run, call.text(0))); }

constexpr auto kFunctions = std::to_array<Builtin>({
    {"dict", "object? **", make_dict},
    {"namespace", "object? **", make_namespace},
    {"raise_exception", "message", raise_exception},
    {"range", "start stop? step?", make_range},
    {"strftime_now", "format", strftime_now},
});

}  // namespace

std::span<const Builtin> functions() noexcept { return kFunctions; }

}  // namespace tern::chat
