#include "kernels/choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include "kernels/dispatch.h"
#include "src/base/check.h"

namespace tern::kernels {
namespace {

using Kernels = std::vector<const TernaryKernel*>;
using Step = Choice::Step;

bool has(const TernaryRoutine& routine) { return routine.multiply != nullptr; }

bool answers(const TernaryKernel& kernel, std::string_view request) {
  return request == kernel.name || request == to_string(kernel.family);
}

/// Says why `request` cannot be had under `isa`.
[[noreturn]] void fail_choice(std::string_view request, Isa isa) {
  std::vector<std::string_view> names;
  std::ranges::transform(runnable_ternary_kernels(isa), std::back_inserter(names),
                         [](const TernaryKernel* kernel) { return std::string_view(kernel->name); });
  const std::string here = fmt::format("kernels that can run here: {}", fmt::join(names, ", "));
  const auto kernels = all_ternary_kernels();
  // The least demanding kernel that would answer: what it lacks is what the user is told.
  const auto found =
      std::find_if(kernels.rbegin(), kernels.rend(), [&](const auto* kernel) { return answers(*kernel, request); });
  if (found == kernels.rend()) {
    fail(ErrorKind::kInvalidArgument, "unknown kernel \"{}\"; {}", request, here);
  }
  const std::string missing = missing_for((*found)->isa);
  if (!missing.empty()) {
    fail(ErrorKind::kInvalidArgument, "kernel \"{}\" needs {}, which this processor lacks; {}", request, missing, here);
  }
  fail(ErrorKind::kInvalidArgument, "kernel \"{}\" needs {}, but instructions are limited to {}; {}", request,
       to_string((*found)->isa), to_string(isa), here);
}

/// The kernels that `request` names and that can run, best first; never none.
Kernels named(std::string_view request, Isa isa) {
  Kernels found = runnable_ternary_kernels(isa);
  std::erase_if(found, [&](const TernaryKernel* kernel) { return !answers(*kernel, request); });
  if (found.empty()) fail_choice(request, isa);
  return found;
}

/// Kernels that share the memory of one: another layout would need a second copy of the weights.
Kernels sharing(Kernels kernels, const TernaryLayout* layout) {
  std::erase_if(kernels, [layout](const TernaryKernel* kernel) { return kernel->layout != layout; });
  return kernels;
}

/// The layout of the best kernel of a family; nullptr without one.
const TernaryLayout* best_layout(const Kernels& kernels, Family family) {
  const auto found = std::ranges::find(kernels, family, &TernaryKernel::family);
  return found == kernels.end() ? nullptr : (*found)->layout;
}

/// "addsub-avx2, addsub-avx512": those that read a layout, whether they can run or not.
std::string readers_of(std::string_view layout) {
  std::vector<std::string_view> names;
  for (const TernaryKernel* kernel : all_ternary_kernels()) {
    if (layout == kernel->layout->name) names.emplace_back(kernel->name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

[[noreturn]] void fail_layout(std::string_view request, Isa isa, std::string_view layout) {
  if (request != "auto") {
    fail(ErrorKind::kInvalidArgument, "kernel \"{}\" does not read weights packed as \"{}\"; kernels that do: {}",
         request, layout, readers_of(layout));
  }
  fail(ErrorKind::kUnsupported,
       "weights are packed as \"{}\" for {}, which cannot run here with {} instructions; make the file again here from "
       "the model that it was made of",
       layout, readers_of(layout), to_string(isa));
}

/// Kernels that read a layout; never none.
Kernels of_layout(Kernels kernels, std::string_view request, Isa isa, std::string_view layout) {
  std::erase_if(kernels, [layout](const TernaryKernel* kernel) { return kernel->layout->name != layout; });
  if (kernels.empty()) fail_layout(request, isa, layout);
  return kernels;
}

/// The first kernel that has the phase, e.g. &TernaryKernel::decode.
const TernaryKernel* first_with(const Kernels& kernels, TernaryRoutine TernaryKernel::*phase) {
  const auto found = std::ranges::find_if(kernels, [phase](const auto* kernel) { return has(kernel->*phase); });
  return found == kernels.end() ? nullptr : *found;
}

/// Without measurements: the first kernel for either phase.
std::vector<Step> steps_by_order(const Kernels& kernels) {
  const TernaryKernel* decode = first_with(kernels, &TernaryKernel::decode);
  const TernaryKernel* prompt = first_with(kernels, &TernaryKernel::prompt);
  if (decode == nullptr) return {{1, prompt, &prompt->prompt}};
  if (prompt == nullptr) return {{1, decode, &decode->decode}};
  return {{1, decode, &decode->decode}, {prompt->min_prompt_tokens, prompt, &prompt->prompt}};
}

/// A routine and how long it takes.
struct Timed {
  Step step;
  double seconds;
};

/// The quickest routine of a family for a number of tokens.
std::optional<Timed> quickest(const Kernels& kernels, Family family, std::size_t n_tokens, const Timer& timer) {
  constexpr std::size_t kMostDecodeTokens = 16;  // more of them are a prompt to every kernel
  constexpr std::size_t kLeastPromptTokens = 4;
  std::optional<Timed> best;
  const auto consider = [&](const TernaryKernel* kernel, const TernaryRoutine& routine) {
    const double seconds = timer(*kernel, routine, n_tokens);
    if (!best || seconds < best->seconds) best = {{n_tokens, kernel, &routine}, seconds};
  };
  for (const TernaryKernel* kernel : kernels) {
    if (kernel->family != family) continue;
    if (has(kernel->decode) && n_tokens <= kMostDecodeTokens) consider(kernel, kernel->decode);
    if (has(kernel->prompt) && n_tokens >= kLeastPromptTokens) consider(kernel, kernel->prompt);
  }
  return best;
}

constexpr std::size_t kMany = 128;  // tokens: what is quickest for them is taken for all that are more
constexpr std::size_t kBatches[] = {1, 2, 4, 8, 16, 32, kMany};

std::vector<Step> steps_by_measuring(const Kernels& kernels, const Timer& timer) {
  std::vector<Step> steps;
  for (const std::size_t n_tokens : kBatches) {
    const std::optional<Timed> addsub = quickest(kernels, Family::kAddSub, n_tokens, timer);
    const std::optional<Timed> dot = quickest(kernels, Family::kDot, n_tokens, timer);
    if (!addsub && !dot) continue;  // no kernel decodes: the first that prompts does
    const bool take_dot = dot && (!addsub || dot->seconds * kDotAdvantage <= addsub->seconds);
    Step step = take_dot ? dot->step : addsub->step;
    if (steps.empty()) step.min_tokens = 1;
    if (steps.empty() || steps.back().routine != step.routine) steps.push_back(step);
  }
  return steps;
}

const Step& step_for(std::span<const Step> steps, std::size_t n_tokens) {
  const auto beyond = std::ranges::upper_bound(steps, n_tokens, {}, &Step::min_tokens);
  return *std::prev(beyond);  // the first is from one token on
}

/// How many times as fast `steps` are as `others`: the geometric mean for one token, as answers are made, and for many,
/// as prompts have them. The products that are timed differ in size, so that only ratios can be put together.
double advantage(std::span<const Step> steps, std::span<const Step> others, const Timer& timer) {
  const auto ratio = [&](std::size_t n_tokens) {
    const Step& step = step_for(steps, n_tokens);
    const Step& other = step_for(others, n_tokens);
    return timer(*other.kernel, *other.routine, n_tokens) / timer(*step.kernel, *step.routine, n_tokens);
  };
  return std::sqrt(ratio(1) * ratio(kMany));
}

/// The kernels of the best layout, or those of the best dot-product kernel's layout for a clear advantage.
std::vector<Step> steps_of_best_layout(const Kernels& kernels, const Timer& timer) {
  const TernaryLayout* layout = kernels.front()->layout;
  const TernaryLayout* dot_layout = best_layout(kernels, Family::kDot);
  std::vector<Step> steps = steps_by_measuring(sharing(kernels, layout), timer);
  if (dot_layout == nullptr || dot_layout == layout) return steps;
  std::vector<Step> dot_steps = steps_by_measuring(sharing(kernels, dot_layout), timer);
  return advantage(dot_steps, steps, timer) >= kDotAdvantage ? dot_steps : steps;
}

/// One kernel by name, completed by its relatives where it lacks a phase.
std::vector<Step> steps_of(const TernaryKernel& kernel, Isa isa) {
  Kernels relatives = runnable_ternary_kernels(isa);
  std::erase_if(relatives, [&](const TernaryKernel* other) {
    return other->family != kernel.family || other->layout != kernel.layout || other == &kernel;
  });
  relatives.insert(relatives.begin(), &kernel);
  return steps_by_order(relatives);
}

/// "DECODE+PROMPT"
std::vector<Step> steps_of_pair(std::string_view decode_name, std::string_view prompt_name, Isa isa) {
  const TernaryKernel& decode = *named(decode_name, isa).front();
  const TernaryKernel& prompt = *named(prompt_name, isa).front();
  if (decode.layout != prompt.layout) {
    fail(ErrorKind::kInvalidArgument, "kernels \"{}\" and \"{}\" keep weights in different layouts, {} and {}",
         decode.name, prompt.name, decode.layout->name, prompt.layout->name);
  }
  if (!has(decode.decode)) fail(ErrorKind::kInvalidArgument, "kernel \"{}\" has no decode phase", decode.name);
  if (!has(prompt.prompt)) fail(ErrorKind::kInvalidArgument, "kernel \"{}\" has no prompt phase", prompt.name);
  return {{1, &decode, &decode.decode}, {std::max<std::size_t>(2, prompt.min_prompt_tokens), &prompt, &prompt.prompt}};
}

std::vector<Step> choose_steps(std::string_view request, Isa isa, const Timer& timer, std::string_view layout) {
  const std::size_t plus = request.find('+');
  if (plus != std::string_view::npos) {
    std::vector<Step> pair = steps_of_pair(request.substr(0, plus), request.substr(plus + 1), isa);
    if (!layout.empty()) static_cast<void>(of_layout({pair.front().kernel}, request, isa, layout));
    return pair;
  }
  // The list begins with the add/subtract family and ends with the reference kernel.
  Kernels kernels = request == "auto" ? runnable_ternary_kernels(isa) : named(request, isa);
  if (!layout.empty()) kernels = of_layout(std::move(kernels), request, isa, layout);
  const TernaryKernel& first = *kernels.front();
  if (request == first.name) return steps_of(first, isa);
  const bool measure = timer && first.family != Family::kReference;
  return measure ? steps_of_best_layout(kernels, timer) : steps_by_order(sharing(kernels, first.layout));
}

}  // namespace

const Choice::Step& Choice::step_for(std::size_t n_tokens) const noexcept { return kernels::step_for(steps, n_tokens); }

Choice choose(std::string_view request, Isa isa, const Timer& timer, std::string_view layout) {
  Choice choice = {.steps = choose_steps(request, isa, timer, layout),
                   .floats = runnable_float_kernels(isa).front(),
                   .attention = runnable_attention_kernels(isa).front(),
                   .head = runnable_head_kernels(isa).front(),
                   .note = ""};
  if (request != "auto") return choice;
  const TernaryKernel& chosen = *choice.steps.front().kernel;
  const Kernels kernels = runnable_ternary_kernels(isa);
  const TernaryKernel& best = *kernels.front();
  if (best.family == Family::kReference) {
    choice.note = fmt::format("only the slow reference kernel can run with {} instructions", to_string(isa));
  } else if (chosen.layout != best.layout && chosen.layout != best_layout(kernels, Family::kDot)) {
    choice.note = fmt::format("weights are packed as \"{}\" for the kernel {}; packed here, they would be read by {}",
                              chosen.layout->name, chosen.name, best.name);
  }
  return choice;
}

}  // namespace tern::kernels
