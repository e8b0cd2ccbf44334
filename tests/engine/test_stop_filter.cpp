#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/engine/stop_filter.h"

namespace tern::engine {
namespace {

/// What comes out for each piece of text, then what the flush gives.
std::vector<std::string> filter(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopFilter filter(stops);
  std::vector<std::string> out;
  for (const std::string& piece : pieces) {
    out.push_back(filter.push(piece));
    if (filter.stopped()) return out;
  }
  out.push_back(filter.flush());
  return out;
}

using Texts = std::vector<std::string>;

TEST(StopFilter, PassesEverythingWithoutStops) { EXPECT_EQ(filter({}, {"ab", "c"}), (Texts{"ab", "c", ""})); }

TEST(StopFilter, CutsBeforeAStopText) {
  EXPECT_EQ(filter({"END"}, {"the END of it"}), (Texts{"the "}));
  EXPECT_EQ(filter({"END"}, {"END"}), (Texts{""}));
}

TEST(StopFilter, FindsAStopTextAcrossPieces) {
  EXPECT_EQ(filter({"END"}, {"the E", "N", "D!"}), (Texts{"the ", "", ""}));
}

TEST(StopFilter, LetsGoOfWhatWasNotABeginning) {
  EXPECT_EQ(filter({"END"}, {"the EN", "T"}), (Texts{"the ", "ENT", ""}));
  EXPECT_EQ(filter({"aab"}, {"aa", "a", "b"}), (Texts{"", "a", ""}));
  EXPECT_EQ(filter({"END"}, {"the EN"}), (Texts{"the ", "EN"}));
}

TEST(StopFilter, TakesTheFirstOfSeveral) {
  EXPECT_EQ(filter({"late", "soon"}, {"soon or late"}), (Texts{""}));
  EXPECT_EQ(filter({"xyz", "y"}, {"ax", "y"}), (Texts{"a", "x"}));
}

}  // namespace
}  // namespace tern::engine
