#include <nlohmann/json.hpp>

#include "tests/tools/fixture.h"

namespace tern::test {
namespace {

using nlohmann::json;
using Doctor = CommandTest;

TEST_F(Doctor, FindsNothingWrongHere) {
  const Outcome outcome = run_tern({"doctor"});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_NE(outcome.out.find("bundled model"), std::string::npos);
  EXPECT_TRUE(outcome.out.ends_with("nothing wrong\n")) << outcome.out;
}

TEST_F(Doctor, SaysAsJsonWhatIsWrongWithTheModelOfTheEnvironment) {
  write_file(model_, std::vector<std::byte>(64));
  const Outcome outcome = run_tern({.arguments = {"doctor", "--json"}, .environment = {{"TERN_MODEL", model_}}});
  EXPECT_EQ(outcome.status, 6) << outcome.err;
  const json report = json::parse(outcome.out);
  EXPECT_EQ(report["faults"], 1);
  EXPECT_EQ(report["findings"].back()["health"], "fault");
  EXPECT_EQ(report["findings"].back()["section"], "model");
}

TEST_F(Doctor, TellsMistakesFromFaults) {
  expect_error(run_tern(with_model("doctor", {"--kernel", "magic"})), 2, "magic");
  expect_error(run_tern({"doctor", "--kernel", "magic"}), 2, "magic");
  expect_error(run_tern({"doctor", model_ + "x"}), 4, "cannot open");
}

TEST_F(Doctor, IsQuietOnRequest) {
  const Outcome outcome = run_tern(with_model("doctor", {"-q"}));
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out + outcome.err, "");
}

}  // namespace
}  // namespace tern::test
