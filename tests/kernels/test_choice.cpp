#include "kernels/choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "kernels/dispatch.h"
#include "tests/kernels/error_message.h"

namespace tern::kernels {
namespace {

TEST(Choose, TakesOnlyTablesOfTheForcedInstructionSet) {
  for (const Isa isa : kAllIsas) {
    if (!missing_for(isa).empty()) {
      continue;
    }
    const Choice choice = choose("auto", isa);
    EXPECT_LE(choice.steps.front().kernel->isa, isa);
    EXPECT_LE(choice.floats->isa, isa);
    for (const TernaryKernel* kernel : all_ternary_kernels()) {
      EXPECT_FALSE(kernel->family == choice.steps.front().kernel->family && kernel->isa <= isa &&
                   kernel->isa > choice.steps.front().kernel->isa)
          << kernel->name << " is better than " << choice.steps.front().kernel->name << " under " << to_string(isa);
    }
    for (const FloatKernels* table : all_float_kernels()) {
      EXPECT_FALSE(table->isa <= isa && table->isa > choice.floats->isa) << table->name << ", " << to_string(isa);
    }
    EXPECT_EQ(choice.attention, runnable_attention_kernels(isa).front());
    EXPECT_LE(choice.attention->isa, isa);
    EXPECT_EQ(choice.head, runnable_head_kernels(isa).front());
    EXPECT_LE(choice.head->isa, isa);
  }
}

TEST(Choose, TakesTheAddSubFamilyByItself) {
  const Isa isa = usable_isa();
  const auto runnable = runnable_ternary_kernels(isa);
  const bool has_addsub =
      std::ranges::any_of(runnable, [](const TernaryKernel* kernel) { return kernel->family == Family::kAddSub; });
  const Choice choice = choose("auto", isa);
  EXPECT_EQ(choice.steps.front().kernel->family, has_addsub ? Family::kAddSub : Family::kReference);
  EXPECT_EQ(choice.note.empty(), has_addsub) << choice.note;
}

TEST(Choose, SaysThatTheReferenceIsSlow) {
  const Choice choice = choose("auto", Isa::kScalar);
  EXPECT_EQ(choice.steps.front().kernel->family, Family::kReference);
  EXPECT_EQ(choice.floats->isa, Isa::kScalar);
  EXPECT_TRUE(contains(choice.note, "slow")) << choice.note;
  EXPECT_EQ(choose("reference", Isa::kScalar).note, "") << "it was asked for";
}

TEST(Choose, FindsEveryRunnableKernelByNameAndFamily) {
  const Isa isa = usable_isa();
  for (const TernaryKernel* kernel : runnable_ternary_kernels(isa)) {
    EXPECT_EQ(choose(kernel->name, isa).steps.back().kernel, kernel);
    EXPECT_EQ(choose(to_string(kernel->family), isa).steps.front().kernel->family, kernel->family);
  }
}

TEST(Choose, RefusesUnknownKernelsAndListsWhatCanRun) {
  const std::string message = message_of([] { return choose("magic", Isa::kScalar); });
  EXPECT_TRUE(contains(message, "\"magic\"")) << message;
  EXPECT_TRUE(contains(message, "can run here: reference")) << message;
}

TEST(Choose, SaysWhyAKernelCanNotRun) {
  for (const TernaryKernel* kernel : all_ternary_kernels()) {
    if (kernel->isa > Isa::kScalar) {
      const std::string message = message_of([&] { return choose(kernel->name, Isa::kScalar); });
      const std::string missing = missing_for(kernel->isa);
      EXPECT_TRUE(contains(message, missing.empty() ? to_string(kernel->isa) : missing)) << message;
    }
  }
}

/// The best kernel of a family here.
const TernaryKernel* best_of(Family family) {
  const auto runnable = runnable_ternary_kernels(usable_isa());
  const auto found = std::ranges::find(runnable, family, &TernaryKernel::family);
  return found == runnable.end() ? nullptr : *found;
}

bool both_families_run() { return best_of(Family::kAddSub) != nullptr && best_of(Family::kDot) != nullptr; }

/// Two kernels of a layout that has both families, as some machines have; the best ones here.
struct Rivals {
  const TernaryKernel* addsub = nullptr;
  const TernaryKernel* dot = nullptr;

  Rivals() {
    const auto runnable = runnable_ternary_kernels(usable_isa());
    for (const TernaryKernel* a : runnable) {
      if (a->family != Family::kAddSub || addsub != nullptr) continue;
      for (const TernaryKernel* d : runnable) {
        if (d->family == Family::kDot && d->layout == a->layout && dot == nullptr) {
          addsub = a;
          dot = d;
        }
      }
    }
  }
  [[nodiscard]] bool exist() const { return dot != nullptr; }
};

/// Seconds by family, whatever the phase.
Timer timer_of(double addsub, double dot) {
  return [=](const TernaryKernel& kernel, const TernaryRoutine&, std::size_t) {
    return kernel.family == Family::kAddSub ? addsub : dot;
  };
}

TEST(Choose, TakesADotKernelOnlyForAClearAdvantage) {
  if (!both_families_run()) GTEST_SKIP() << "one family alone here";
  const Isa isa = usable_isa();
  for (const Choice::Step& step : choose("auto", isa, timer_of(1.24, 1.0)).steps) {
    EXPECT_EQ(step.kernel->family, Family::kAddSub) << step.min_tokens;
  }
  for (const Choice::Step& step : choose("auto", isa, timer_of(1.25, 1.0)).steps) {
    EXPECT_EQ(step.kernel->family, Family::kDot) << step.min_tokens;
  }
}

TEST(Choose, DecidesForEverySizeOfBatch) {
  if (!Rivals().exist()) GTEST_SKIP() << "no layout has kernels of both families here";
  const Timer many_are_quicker = [](const TernaryKernel& kernel, const TernaryRoutine&, std::size_t n_tokens) {
    return kernel.family == Family::kDot && n_tokens >= 32 ? 0.5 : 1.0;
  };
  const Choice choice = choose("auto", usable_isa(), many_are_quicker);
  EXPECT_EQ(choice.step_for(1).kernel->family, Family::kAddSub);
  EXPECT_EQ(choice.step_for(31).kernel->family, Family::kAddSub);
  EXPECT_EQ(choice.step_for(32).kernel->family, Family::kDot);
  EXPECT_EQ(choice.step_for(100000).kernel->family, Family::kDot);
}

TEST(Choose, TakesAnotherLayoutForItsAdvantageInTheMean) {
  if (!both_families_run()) GTEST_SKIP() << "one family alone here";
  if (best_of(Family::kAddSub)->layout == best_of(Family::kDot)->layout) GTEST_SKIP() << "both read one layout here";
  const auto family_for = [](double one_token, double many_tokens) {
    const Timer timer = [=](const TernaryKernel& kernel, const TernaryRoutine&, std::size_t n_tokens) {
      return kernel.family == Family::kAddSub ? 1.0 : n_tokens == 1 ? one_token : many_tokens;
    };
    const Choice choice = choose("auto", usable_isa(), timer);
    for (const Choice::Step& step : choice.steps) EXPECT_EQ(step.kernel->layout, &choice.layout());
    EXPECT_EQ(choice.note, "");
    return choice.steps.front().kernel->family;
  };
  EXPECT_EQ(family_for(2.0, 0.30), Family::kDot);  // 1.29 times as fast
  EXPECT_EQ(family_for(2.0, 0.35), Family::kAddSub);
  EXPECT_EQ(family_for(0.30, 2.0), Family::kDot);
  EXPECT_EQ(family_for(0.35, 2.0), Family::kAddSub);
}

TEST(Choose, KeepsToTheLayoutOfPackedWeights) {
  if (!both_families_run()) GTEST_SKIP() << "one family alone here";
  for (const TernaryKernel* kernel : runnable_ternary_kernels(usable_isa())) {
    const Choice choice = choose("auto", usable_isa(), timer_of(1.0, 1.0), kernel->layout->name);
    EXPECT_EQ(&choice.layout(), kernel->layout);
    const bool as_packed_here =
        kernel->layout == best_of(Family::kAddSub)->layout || kernel->layout == best_of(Family::kDot)->layout;
    EXPECT_EQ(choice.note.empty(), as_packed_here) << kernel->layout->name << ": " << choice.note;
  }
}

TEST(Choose, KeepsToAFamilyThatWasAskedForHoweverSlow) {
  if (!both_families_run()) GTEST_SKIP() << "one family alone here";
  for (const Choice::Step& step : choose("addsub", usable_isa(), timer_of(100.0, 1.0)).steps) {
    EXPECT_EQ(step.kernel->family, Family::kAddSub);
  }
  for (const Choice::Step& step : choose("dot", usable_isa(), timer_of(1.0, 100.0)).steps) {
    EXPECT_EQ(step.kernel->family, Family::kDot);
  }
}

TEST(Choose, TakesOnePairForBothPhases) {
  const Rivals rivals;
  if (!rivals.exist() || rivals.addsub->decode.multiply == nullptr || rivals.dot->prompt.multiply == nullptr) {
    GTEST_SKIP() << "no such pair here";
  }
  const Choice choice = choose(std::string(rivals.addsub->name) + "+" + rivals.dot->name, usable_isa());
  EXPECT_EQ(choice.step_for(1).routine, &rivals.addsub->decode);
  EXPECT_EQ(choice.step_for(1000).routine, &rivals.dot->prompt);
}

TEST(Choose, RefusesPairsThatCanNotShareMemory) {
  const auto runnable = runnable_ternary_kernels(usable_isa());
  const TernaryKernel& other = *runnable.front();
  if (other.layout == runnable.back()->layout) GTEST_SKIP() << "only one layout here";
  const std::string message = message_of([&] { return choose(std::string("reference+") + other.name, usable_isa()); });
  EXPECT_TRUE(contains(message, other.layout->name) && contains(message, "plain")) << message;
}

TEST(Choose, NeverLeavesABatchWithoutARoutine) {
  for (const TernaryKernel* kernel : runnable_ternary_kernels(usable_isa())) {
    for (const Timer& timer : {Timer(), timer_of(1.0, 1.0)}) {
      const Choice choice = choose(kernel->name, usable_isa(), timer);
      EXPECT_EQ(choice.steps.front().min_tokens, 1u) << kernel->name;
      EXPECT_TRUE(std::ranges::is_sorted(choice.steps, {}, &Choice::Step::min_tokens)) << kernel->name;
      for (const Choice::Step& step : choice.steps) {
        EXPECT_NE(step.routine->multiply, nullptr) << kernel->name;
        EXPECT_EQ(step.kernel->layout, kernel->layout) << kernel->name;
      }
    }
  }
}

}  // namespace
}  // namespace tern::kernels
