#include <gtest/gtest.h>

#include <map>
#include <random>
#include <utility>
#include <vector>

#include "src/text/flat_map.h"
#include "src/text/merge.h"

namespace tern::text {
namespace {

using MergeRules = std::map<std::pair<SymbolId, SymbolId>, Merge>;

/// Merging as it is defined: look for the best pair from the left, merge it, start again.
std::vector<SymbolId> merge_slowly(std::vector<SymbolId> ids, const MergeRules& rules) {
  while (true) {
    std::size_t best = ids.size();
    Merge best_merge;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = rules.find({ids[i], ids[i + 1]});
      if (found == rules.end()) continue;
      if (best < ids.size() && found->second.priority >= best_merge.priority) continue;
      best = i;
      best_merge = found->second;
    }
    if (best == ids.size()) return ids;
    ids[best] = best_merge.id;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

std::vector<SymbolId> merge_by_heap(const std::vector<SymbolId>& ids, const MergeRules& rules) {
  Merger merger;
  for (const SymbolId id : ids) merger.push(id, 1);
  merger.run([&](const Symbol& left, const Symbol& right) {
    const auto found = rules.find({left.id, right.id});
    return found == rules.end() ? Merge{} : found->second;
  });
  std::vector<SymbolId> merged;
  std::uint32_t end = 0;
  merger.for_each([&](const Symbol& symbol) {
    EXPECT_EQ(symbol.begin, end);
    end = symbol.begin + symbol.size;
    merged.push_back(symbol.id);
  });
  EXPECT_EQ(end, ids.size());
  return merged;
}

TEST(Merger, MergesInTheDefinedOrder) {
  std::mt19937 random(7);
  int n_shorter = 0;
  for (int round = 0; round < 2000; ++round) {
    // Few symbols, so that pairs repeat and overlap; few priorities, so that there are ties.
    MergeRules rules;
    for (SymbolId made = 4; made < 4 + random() % 12; ++made) {
      rules.emplace(std::pair(random() % made, random() % made), Merge{static_cast<std::uint32_t>(random() % 6), made});
    }
    std::vector<SymbolId> ids(random() % 40);
    for (SymbolId& id : ids) id = random() % 4;
    const std::vector<SymbolId> expected = merge_slowly(ids, rules);
    EXPECT_EQ(merge_by_heap(ids, rules), expected);
    if (expected.size() < ids.size()) ++n_shorter;
  }
  EXPECT_GT(n_shorter, 1000);
}

TEST(Merger, TakesTheLeftmostOfEquals) {
  // x x x: both pairs have the same priority.
  EXPECT_EQ(merge_by_heap({1, 1, 1}, {{{1, 1}, {5, 2}}}), (std::vector<SymbolId>{2, 1}));
  EXPECT_EQ(merge_by_heap({}, {}), std::vector<SymbolId>{});
}

TEST(FlatMap, KeepsTheFirstOfEveryKeyWhileItGrows) {
  FlatMap<std::uint32_t> map;
  std::map<std::uint64_t, std::uint32_t> expected;
  std::mt19937_64 random(3);
  for (std::uint32_t i = 0; i < 20000; ++i) {
    const std::uint64_t key = random() % 9000 << (i % 2 == 0 ? 0 : 32);
    EXPECT_EQ(map.insert(key, i), expected.emplace(key, i).second);
  }
  for (const auto& [key, value] : expected) {
    ASSERT_NE(map.find(key), nullptr);
    EXPECT_EQ(*map.find(key), value);
  }
  EXPECT_EQ(map.find(9001), nullptr);
}

}  // namespace
}  // namespace tern::text
