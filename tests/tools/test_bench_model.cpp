#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/tools/fixture.h"

// tern bench with a model: what it prints, writes, compares, predicts and remembers. Not how fast this machine is.
namespace tern::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class BenchModel : public CommandTest {
 protected:
  /// Arguments for a benchmark of some milliseconds.
  [[nodiscard]] std::vector<std::string> small(std::vector<std::string> more) const {
    std::vector<std::string> arguments = {"-p", "8", "-n", "2", "-t", "1", "--reps", "2", "--warmup", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return with_model("bench", arguments);
  }
  /// A report on two figures with these samples, in a file.
  [[nodiscard]] static std::string write_report(const std::string& name, const std::vector<double>& seconds,
                                                const std::string& kernel = "k") {
    json report = {{"format", "tern bench 1"}, {"tern", "0.1.0"}, {"machine", {{"cpu", "c"}}}};
    report["model"] = {{"name", "m"}, {"decode_kernel", kernel}, {"prompt_kernel", "k"}};
    report["limits"] = json::array({{{"threads", 1}, {"read_bytes", 8}, {"read_bytes_per_s", {1e9}}}});
    for (const char* phase : {"decode", "prompt"}) {
      const std::vector<double> steady = {1.0, 1.01, 1.02, 1.03, 1.04, 1.05};
      report["points"].push_back({{"phase", phase},
                                  {"tokens", 4},
                                  {"texts", 1},
                                  {"depth", 0},
                                  {"threads", 1},
                                  {"seconds", std::string(phase) == "decode" ? seconds : steady}});
    }
    const std::string path = temporary_path(name);
    std::ofstream(path) << report;
    return path;
  }
};

std::string contents_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST_F(BenchModel, PrintsJsonWithAllSamples) {
  const Outcome outcome = run_tern(small({"--texts", "1,2", "--depth", "0,4", "--json"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json report = json::parse(outcome.out);
  EXPECT_TRUE(report["complete"]);
  EXPECT_FALSE(report["machine"]["cpu"].get<std::string>().empty());
  EXPECT_FALSE(report["machine"]["energy"].get<std::string>().empty());
  EXPECT_FALSE(report["model"]["decode_kernel"].get<std::string>().empty());
  EXPECT_GT(report["memory"][0]["read_bytes_per_s"][0], 0.0);
  ASSERT_EQ(report["points"].size(), 6u);  // two depths of a prompt and of one and two texts
  for (const json& point : report["points"]) {
    EXPECT_EQ(point["seconds"].size(), 2u);
    EXPECT_GT(point["bytes"], 0u);
    const double limit = point["limit_tokens_per_s"];
    EXPECT_NEAR(point["share_of_limit"].get<double>(), point["tokens_per_s"]["median"].get<double>() / limit, 1e-9);
    EXPECT_LE(point["tokens_per_s"]["first_quartile"], point["tokens_per_s"]["third_quartile"]);
  }
}

TEST_F(BenchModel, PrintsTables) {
  const Outcome table = run_tern(small({}));
  EXPECT_EQ(table.status, 0) << table.err;
  for (const char* words : {"machine ", "memory ", "energy ", "kernels ", "prompt 8", "decode 2", "share"}) {
    EXPECT_NE(table.out.find(words), std::string::npos) << words << " in: " << table.out;
  }
  const Outcome csv = run_tern(small({"--csv"}));
  std::istringstream lines(csv.out);
  std::string line;
  std::size_t n_lines = 0;
  for (; std::getline(lines, line); ++n_lines) EXPECT_EQ(std::count(line.begin(), line.end(), ','), 13) << line;
  EXPECT_EQ(n_lines, 3u) << csv.out;
  const Outcome markdown = run_tern(small({"--markdown"}));
  EXPECT_NE(markdown.out.find("\n| prompt 8 | 1 | 0 | 1 |"), std::string::npos) << markdown.out;
}

TEST_F(BenchModel, LeavesOutWhatIsNone) {
  const auto titles = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"-t", "1", "--quick", "--csv"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::istringstream lines(run_tern(with_model("bench", arguments)).out);
    std::string all, line;
    std::getline(lines, line);  // the heading
    while (std::getline(lines, line)) all += line.substr(0, line.find(',', line.find(',') + 1)) + ";";
    return all;
  };
  EXPECT_EQ(titles({}), "prompt,128;decode,16;");
  EXPECT_EQ(titles({"-p", "0"}), "decode,16;");
  EXPECT_EQ(titles({"-n", "0", "-p", "3,5"}), "prompt,3;prompt,5;");
  EXPECT_EQ(titles({"-d", "100"}), "prompt,28;decode,16;");  // what is left of a context of 128
}

TEST_F(BenchModel, StopsInOrder) {
  // The time limit of coreutils sends the signal, since nothing is printed before the end; to one process, once.
  const std::string page = temporary_path("stopped.html");
  const std::string command = std::string("timeout --foreground --preserve-status -s INT 4 '") + TERN_CLI +
                              "' bench -m '" + model_ + "' -p 100 -t 1 --reps 10000 --html '" + page + "' > '" +
                              temporary_path("out") + "'";
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_TRUE(contents_of(page).ends_with("</html>\n"));
  EXPECT_NE(contents_of(page).find("stopped before all was measured"), std::string::npos);
  EXPECT_TRUE(contents_of(temporary_path("out")).ends_with("\n"));
}

TEST_F(BenchModel, RefusesWhatDoesNotGoTogether) {
  expect_error(run_tern(small({"--json", "--csv"})), 2, "--csv");
  expect_error(run_tern(with_model("bench", {"--kernels", "--sweep"})), 2, "--sweep");
  expect_error(run_tern(with_model("bench", {"--kernels", "--html", "x.html"})), 2, "--html");
  expect_error(run_tern(with_model("bench", {"--remember"})), 2, "--sweep");
  expect_error(run_tern(with_model("bench", {"--tokens", "4"})), 2, "--kernels");
  expect_error(run_tern(with_model("bench", {"-c", "64"})), 2, "-c goes with --predict, not with the measurement");
  expect_error(run_tern(with_model("bench", {"--seconds", "1"})), 2, "--seconds");
  expect_error(run_tern(with_model("bench", {"--kernels", "--kv", "f32"})), 2, "--kv");
  expect_error(run_tern(with_model("bench", {"--sweep", "--texts", "2"})), 2, "--texts");
  expect_error(run_tern(with_model("bench", {"--compare", "a", "b"})), 2, "-m goes with");
  expect_error(run_tern(with_model("bench", {"-p", "1000"})), 2, "1000 tokens");
  expect_error(run_tern(with_model("bench", {"-p", "0", "-n", "0"})), 2, "nothing to measure");
  expect_error(run_tern(with_model("bench", {"-t", "1,x"})), 2, "x");
  expect_error(run_tern(with_model("bench", {"--kernels", "-t", "1,2"})), 2, "one number of threads");
  expect_error(run_tern(small({"--html", "/nowhere/at/all.html"})), 4, "/nowhere/at/all.html");
}

// --- comparing --------------------------------------------------------------------------------------------------

json compare(const std::string& first, const std::string& second) {
  const Outcome outcome = run_tern({"bench", "--compare", first, second, "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return json::parse(outcome.out);
}

TEST_F(BenchModel, ComparesTwoReports) {
  const std::string before = write_report("before.json", {1.00, 1.02, 1.03, 1.05, 1.06, 1.07});
  const std::string after = write_report("after.json", {0.80, 0.81, 0.83, 0.84, 0.85, 0.86}, "other");
  const json result = compare(before, after);
  ASSERT_EQ(result["figures"].size(), 2u);
  EXPECT_EQ(result["figures"][0]["verdict"], "faster");
  EXPECT_NEAR(result["figures"][0]["ratio"].get<double>(), 1.04 / 0.835, 1e-3);
  EXPECT_EQ(result["figures"][1]["verdict"], "no difference");
  ASSERT_EQ(result["differences"].size(), 1u);
  EXPECT_EQ(result["differences"][0], "decode kernel: k | other");
  EXPECT_EQ(compare(after, before)["figures"][0]["verdict"], "slower");

  const std::string few = write_report("few.json", {0.5, 0.51});
  EXPECT_EQ(compare(before, few)["figures"][0]["verdict"], "too few repetitions");
  const Outcome table = run_tern({"bench", "--compare", before, after});
  EXPECT_NE(table.out.find("faster"), std::string::npos) << table.out;
}

TEST_F(BenchModel, ComparesWhatItPrinted) {
  const std::string path = temporary_path("own.json");
  std::ofstream(path) << run_tern(small({"--json"})).out;
  const json result = compare(path, path);
  EXPECT_EQ(result["figures"].size(), 2u);
  EXPECT_EQ(result["figures"][0]["ratio"], 1.0);
  EXPECT_TRUE(result["differences"].empty());
}

TEST_F(BenchModel, RefusesReportsThatAreNone) {
  const std::string good = write_report("good.json", {1.0, 1.1});
  const std::string bad = temporary_path("bad.json");
  const auto refuse = [&](const std::string& text, const char* words) {
    std::ofstream(bad) << text;
    expect_error(run_tern({"bench", "--compare", good, bad}), 2, words);
  };
  refuse("", "tern bench --json");
  refuse("[1, 2]", "tern bench --json");
  refuse(std::string(100'000, '['), "tern bench --json");
  refuse(R"({"format": "tern bench 1"})", "\"tern\"");
  json report = json::parse(contents_of(good));
  report["points"][0]["seconds"] = {1.0, -1.0};
  refuse(report.dump(), "positive");
  report["points"][0]["seconds"] = {1.0, "x"};
  refuse(report.dump(), "positive");
  report["points"] = json::array();
  refuse(report.dump(), "no figure in common");
  expect_error(run_tern({"bench", "--compare", good, "/nowhere.json"}), 4, "/nowhere.json");
}

// --- predicting -------------------------------------------------------------------------------------------------

constexpr const char* kSmallConfig = R"({"model_type": "llama", "hidden_size": 256, "intermediate_size": 512,
  "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1000,
  "max_position_embeddings": 128, "tie_word_embeddings": true})";

TEST_F(BenchModel, PredictsFromAConfig) {
  const std::string path = temporary_path("config.json");
  std::ofstream(path) << kSmallConfig;
  const Outcome outcome = run_tern({"bench", "--predict", path, "-t", "1", "--seconds", "0", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  EXPECT_EQ(result["shape"]["architecture"], "llama");
  EXPECT_EQ(result["shape"]["head_dim"], 64);
  EXPECT_EQ(result["shape"]["head"], "tied");
  EXPECT_EQ(result["layers_measured"], 2);
  // Embedding, norms, and 2 * (256 * 256 * 2 + 256 * 128 * 2 + 3 * 256 * 512) ternary weights.
  EXPECT_EQ(result["n_parameters"], 256'000 + 5 * 256 + 2 * 589'824);
  EXPECT_EQ(result["memory"]["kv_bytes"], 128 * 2 * 2 * 2 * 2 * 64);  // a context of 128 is all it has
  EXPECT_GT(result["decode"]["tokens_per_s"], 0.0);
  EXPECT_GT(result["prompt"]["tokens_per_s"], 0.0);
  const Outcome text = run_tern({"bench", "--predict", path, "-t", "1", "--seconds", "0", "--kv", "int8"});
  EXPECT_NE(text.out.find("2 of 2 layers"), std::string::npos) << text.out;
}

TEST_F(BenchModel, KnowsPublishedModels) {
  const Outcome list = run_tern({"bench", "--predict", "list"});
  for (const char* name : {"bitnet-b1.58-2B-4T", "Llama3-8B-1.58", "Falcon3-10B-1.58bit", "Ternary-Bonsai-8B"}) {
    EXPECT_NE(list.out.find(name), std::string::npos) << list.out;
  }
  expect_error(run_tern({"bench", "--predict", "gpt-7"}), 2, "bitnet-b1.58-2B-4T");
}

TEST_F(BenchModel, RefusesBrokenConfigs) {
  const std::string path = temporary_path("config.json");
  const auto refuse = [&](const std::string& text, const char* words) {
    std::ofstream(path) << text;
    expect_error(run_tern({"bench", "--predict", path}), 2, words);
  };
  const auto changed = [](const char* key, const json& value) {
    json config = json::parse(kSmallConfig);
    config[key] = value;
    return config.dump();
  };
  refuse("", "JSON object");
  refuse("{", "JSON object");
  refuse(std::string(1 << 21, ' ') + "{}", "JSON object");
  refuse("{}", "\"hidden_size\"");
  refuse(changed("hidden_size", -5), "found -5");
  refuse(changed("hidden_size", 0), "found 0");
  refuse(changed("hidden_size", 1e300), "hidden_size");
  refuse(changed("vocab_size", "many\n"), "vocab_size");
  refuse(changed("vocab_size", 2'000'000'000), "vocabulary");
  refuse(changed("num_hidden_layers", 2000), "layers");
  refuse(changed("num_key_value_heads", 3), "equal groups");
  refuse(changed("intermediate_size", std::uint64_t{1} << 30), "feed-forward");
}

// --- remembering ------------------------------------------------------------------------------------------------

TEST_F(BenchModel, RemembersWhatASweepFound) {
  const std::string directory = temporary_path("cache");
  const auto run = [&](std::vector<std::string> arguments) {
    return run_tern({.arguments = std::move(arguments), .environment = {{"TERN_CACHE_DIR", directory}}});
  };
  const std::vector<std::string> generate = with_model("run", {"-n", "4", "--temp", "0", "--ignore-eos", "-p", "the"});
  const Outcome before = run(generate);
  EXPECT_EQ(before.err.find("remembered"), std::string::npos) << before.err;

  const Outcome swept =
      run(with_model("bench", {"--sweep", "--kernel", "reference", "-t", "1", "--quick", "--remember"}));
  ASSERT_EQ(swept.status, 0) << swept.err;
  EXPECT_NE(swept.out.find("recommended: --kernel reference --threads 1\n"), std::string::npos) << swept.out;
  const Outcome after = run(generate);
  EXPECT_NE(after.err.find("reference + reference"), std::string::npos) << after.err;
  EXPECT_NE(after.err.find("remembered"), std::string::npos) << after.err;
  EXPECT_EQ(after.out, before.out);  // speed changes, never a result

  const Outcome batch = run_tern({.arguments = with_model("batch", {"-n", "2"}),
                                  .input = "{\"prompt\": \"the\"}\n",
                                  .environment = {{"TERN_CACHE_DIR", directory}}});
  EXPECT_NE(batch.err.find("threads 1 (kernels and threads as remembered"), std::string::npos) << batch.err;

  std::vector<std::string> named = generate;
  named.insert(named.end(), {"-t", "2"});
  EXPECT_EQ(run(named).err.find("remembered"), std::string::npos);  // what is named wins

  const std::string file = directory + "/choices.json";
  const std::string good = contents_of(file);
  for (const std::string& damage :
       {std::string(), std::string("[]"), std::string(5000, '{'), good.substr(0, good.size() / 2),
        std::string(good).replace(good.find("\"reference\""), 11, "\"magic\""),
        std::string(good).replace(good.find("\"threads\": 1"), 12, "\"threads\": -7")}) {
    std::ofstream(file) << damage;
    const Outcome outcome = run(generate);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err.find("remembered"), std::string::npos) << damage;
  }
  std::ofstream(file) << good;
  EXPECT_EQ(run(with_model("bench", {"--sweep", "--forget"})).status, 0);
  EXPECT_EQ(run(generate).err.find("remembered"), std::string::npos);
}

TEST_F(BenchModel, SweepsEveryKernel) {
  const Outcome outcome = run_tern(with_model("bench", {"--sweep", "-t", "1", "--quick", "--json"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  double best = 0.0;
  for (const json& row : result["rows"]) {
    if (row["phase"] == "decode") best = std::max(best, row["tokens_per_s"].get<double>());
  }
  EXPECT_EQ(result["best_decode"]["tokens_per_s"], best);
  // What is recommended can be used.
  const Outcome used = run_tern(
      with_model("run", {"-n", "1", "-p", "the", "--kernel", result["recommended"]["kernel"].get<std::string>()}));
  EXPECT_EQ(used.status, 0) << used.err;
}

TEST_F(BenchModel, SaysWhenThereIsNoPlaceToRemember) {
  const auto arguments = with_model("bench", {"--sweep", "--kernel", "reference", "-t", "1", "--quick", "--forget"});
  expect_error(run_tern({.arguments = arguments, .environment = {{"TERN_CACHE_DIR", ""}}}), 2, "nowhere to remember");
  expect_error(run_tern({.arguments = arguments, .environment = {{"TERN_CACHE_DIR", "/dev/null/x"}}}), 4, "choices");
}

// --- the page ---------------------------------------------------------------------------------------------------

TEST_F(BenchModel, WritesAPageThatIsCompleteInItself) {
  const std::string page = temporary_path("page.html");
  ASSERT_EQ(run_tern(small({"-t", "1,2", "--html", page})).status, 0);
  const std::string html = contents_of(page);
  for (const char* outside : {"http:", "https:", "src=", "href=", "<script", "@import", "url("}) {
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  }
  for (const char* words : {"Generating", "Reading a prompt", "Share of the limit", "Bytes read for one token",
                            "Reading memory and nothing else", "tokens/s", "GB/s", "class=\"limit"}) {
    EXPECT_NE(html.find(words), std::string::npos) << words;
  }
}

TEST_F(BenchModel, TakesNoMarkupFromAModelsName) {
  GgufBuilder model = make_tiny_model({.architecture = "llama"});
  model.remove("general.name").add("general.name", "<script>alert(1)</script>&\"'");
  write_file(model_, model.build());
  const std::string page = temporary_path("page.html");
  ASSERT_EQ(run_tern(small({"--html", page})).status, 0);
  const std::string html = contents_of(page);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;"), std::string::npos);
}

/// What a browser prints on standard output.
std::string browse(const std::string& options, const std::string& page, const std::string& profile) {
  const std::string out = profile + ".out";
  const std::string command =
      "timeout 60 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir='" + profile + "' " +
      options + " 'file://" + page + "' > '" + out + "' 2> /dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  return contents_of(out);
}

TEST_F(BenchModel, PageIsDrawnByABrowser) {
  if (std::system("command -v chromium > /dev/null 2>&1") != 0) GTEST_SKIP() << "chromium is not installed";
  const std::string page = temporary_path("page.html");
  ASSERT_EQ(run_tern(small({"-t", "1,2", "--html", page})).status, 0);

  // Parsed and serialized again, nothing may have moved: what is not closed would be.
  const std::string dom = browse("--dump-dom", page, temporary_path("profile"));
  const auto count = [](const std::string& text, const std::string& part) {
    std::size_t n = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
    return n;
  };
  const std::string html = contents_of(page);
  for (const char* element : {"<figure", "<svg", "<circle", "<rect", "<text", "<tr", "<dt"}) {
    EXPECT_EQ(count(dom, element), count(html, element)) << element;
    EXPECT_GT(count(dom, element), 0u) << element;
  }
  EXPECT_EQ(count(dom, "NaN") + count(dom, "nan") + count(dom, "inf\""), 0u);

  // Measured where it is laid out: a script of the test's own, which the page has none of, says what is too wide.
  const std::string probe = temporary_path("probe.html");
  std::ofstream(probe) << html << R"(<script>
    const wide = [...document.querySelectorAll('figure, svg, h1, .facts')].filter(
      e => e.getBoundingClientRect().right > innerWidth + 1).length;
    const flat = [...document.querySelectorAll('svg')].filter(e => e.getBoundingClientRect().height < 40).length;
    const outside = [...document.querySelectorAll('svg text')].filter(t => {
      const inner = t.getBoundingClientRect(), outer = t.ownerSVGElement.getBoundingClientRect();
      return inner.left < outer.left - 2 || inner.right > outer.right + 2 || inner.bottom > outer.bottom + 2;
    }).length;
    document.title = `wide ${wide} flat ${flat} outside ${outside}`;
  </script>)";
  for (const char* size : {"--window-size=500,900", "--window-size=1200,900"}) {
    const std::string probed = browse(std::string(size) + " --dump-dom", probe, temporary_path("profile"));
    EXPECT_NE(probed.find("<title>wide 0 flat 0 outside 0</title>"), std::string::npos)
        << size << ": " << probed.substr(probed.find("<title>"), 60);
  }

  // A blank picture of this size compresses to a few thousand bytes.
  const std::string shot = temporary_path("page.png");
  browse("--window-size=1000,1700 --screenshot='" + shot + "'", page, temporary_path("profile"));
  EXPECT_GT(fs::file_size(shot), 40'000u);
}

}  // namespace
}  // namespace tern::test
