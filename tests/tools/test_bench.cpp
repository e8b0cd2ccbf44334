#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/tools/fixture.h"

// tern bench, and the measurements that tern keeps to choose its kernels by.
namespace tern::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

using Bench = CommandTest;

/// Names of the kernels that can run here.
std::set<std::string> kernels_here() {
  std::set<std::string> names;
  const json object = json::parse(run_tern({"inspect", "--json"}).out);
  for (const json& kernel : object["kernels"]["available"]) {
    if (kernel["missing"] == "") names.insert(kernel["name"].get<std::string>());
  }
  return names;
}

TEST_F(Bench, MeasuresEveryKernelThatRunsHere) {
  const Outcome outcome = run_tern(with_model("bench", {"--kernels", "--tokens", "1,5", "--seconds", "0", "--json"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  std::set<std::string> names;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    const json timing = json::parse(line);
    names.insert(timing["kernel"].get<std::string>());
    EXPECT_GT(timing["gweights_per_s"], 0.0) << line;
    const double per_token = timing["gmacs_per_s"].get<double>() / timing["tokens"].get<double>();
    EXPECT_NEAR(timing["gweights_per_s"].get<double>(), per_token, 1e-6 * per_token) << line;
    EXPECT_GT(timing["share_of_stream"], 0.0) << line;
  }
  EXPECT_EQ(names, kernels_here());
}

TEST_F(Bench, PrintsATable) {
  const Outcome outcome = run_tern(
      with_model("bench", {"--kernels", "--kernel", "reference", "--tokens", "1", "--seconds", "0", "-t", "2"}));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2) << outcome.out;
  EXPECT_NE(outcome.out.find("reference"), std::string::npos) << outcome.out;
}

TEST_F(Bench, MeasuresBlocksWithScales) {
  const std::vector<std::string> options = {"--kernels", "--kernel", "reference", "--tokens", "1", "--seconds", "0"};
  const auto with = [&](const char* scale_cols) {
    std::vector<std::string> more = options;
    more.insert(more.end(), {"--scale-cols", scale_cols});
    return run_tern(with_model("bench", more));
  };
  EXPECT_EQ(with("64").status, 0);
  expect_error(with("96"), 2, "a multiple of 96 columns");
  expect_error(run_tern(with_model("bench", {"--scale-cols", "64"})), 2,
               "--scale-cols goes with --kernels or --predict, not with the measurement of a model");
}

TEST_F(Bench, RefusesWhatItCanNotMeasure) {
  expect_error(run_tern(with_model("bench", {"--kernels", "--tokens", "0"})), 2, "--tokens");
  expect_error(run_tern(with_model("bench", {"--kernels", "--kernel", "magic"})), 2, "magic");
}

/// The directory and what `tern inspect` chooses with it.
struct CachedChoice {
  explicit CachedChoice(const std::string& model, fs::path where) : directory(std::move(where)), model_path(model) {}

  json choose() const {
    const Outcome outcome = run_tern(
        {.arguments = {"inspect", "--json", model_path}, .environment = {{"TERN_CACHE_DIR", directory.string()}}});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return json::parse(outcome.out)["kernels"];
  }
  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    if (!fs::exists(directory)) return found;
    for (const auto& entry : fs::directory_iterator(directory)) found.push_back(entry.path());
    return found;
  }

  fs::path directory;
  std::string model_path;
};

std::string text_of_file(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST_F(Bench, KeepsItsMeasurementsForTheNextProcess) {
  const CachedChoice cached(model_, fs::path(temporary_path("cache")));
  cached.choose();
  if (cached.files().empty()) GTEST_SKIP() << "there is nothing to choose here";
  ASSERT_EQ(cached.files().size(), 1u);
  const fs::path file = cached.files().front();
  const std::string text = text_of_file(file);

  // What the file says is believed: let one family seem to take no time.
  for (const std::string family : {"dot", "addsub"}) {
    std::istringstream lines(text);
    std::ofstream changed(file);
    std::string line;
    std::getline(lines, line);
    changed << line << '\n';
    while (std::getline(lines, line)) {
      changed << line.substr(0, line.find(' ')) << (line.starts_with(family) ? " 0.000001\n" : " 1.0\n");
    }
    changed.close();
    EXPECT_TRUE(cached.choose()["prompt"].get<std::string>().starts_with(family)) << text;
  }
}

TEST_F(Bench, MeasuresBlocksWithScalesOfTheirOwnApart) {
  const CachedChoice cached(model_, fs::path(temporary_path("cache")));
  cached.choose();
  if (cached.files().empty()) GTEST_SKIP() << "there is nothing to choose here";
  EXPECT_EQ(text_of_file(cached.files().front()).find("/block-128 "), std::string::npos);
  write_file(model_, make_tiny_model({.architecture = "llama", .type = "PQ2_0", .one_scale = false}).build());
  cached.choose();
  EXPECT_NE(text_of_file(cached.files().front()).find("/block-128 "), std::string::npos);
}

TEST_F(Bench, MeasuresAgainWhenTheFileIsDamaged) {
  const CachedChoice cached(model_, fs::path(temporary_path("cache")));
  cached.choose();
  if (cached.files().empty()) GTEST_SKIP() << "there is nothing to choose here";
  const fs::path file = cached.files().front();
  const std::string text = text_of_file(file);
  const std::string key = text.substr(0, text.find('\n'));
  for (const std::string& damage : {std::string(), std::string("\n"), key + "\nx nan\n", key + "\naddsub -1 x\n",
                                    std::string(5000, 'x'), key + "\n" + std::string(1 << 16, '\xFF')}) {
    std::ofstream(file) << damage;
    EXPECT_FALSE(cached.choose()["decode"].get<std::string>().empty());
    EXPECT_GT(text_of_file(file).size(), key.size() + 1);
  }
}

TEST_F(Bench, NeedsNoPlaceForMeasurements) {
  for (const char* directory : {"", "/dev/null/nowhere"}) {
    const Outcome outcome =
        run_tern({.arguments = {"inspect", model_}, .environment = {{"TERN_CACHE_DIR", directory}}});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err.find("tern:"), std::string::npos) << outcome.err;
  }
}

}  // namespace
}  // namespace tern::test
