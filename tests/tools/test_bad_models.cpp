#include <cstring>
#include <functional>
#include <limits>

#include "tests/tools/fixture.h"

// Files that are no model, or not quite: every one gives one clear line and a status, and nothing else happens.
namespace tern::test {
namespace {

using Bytes = std::vector<std::byte>;

class BadModels : public CommandTest {
 protected:
  /// Runs and inspects a file of these bytes.
  void expect_refused(const Bytes& bytes, const std::string& words, int status = 3) {
    const std::string path = temporary_path("bad.gguf");
    write_file(path, bytes);
    const Outcome outcome = run_tern({"run", "-q", "-n", "1", "-m", path, "a"});
    expect_error(outcome, status, words);
    EXPECT_NE(outcome.err.find("bad.gguf"), std::string::npos) << "the file is not named: " << outcome.err;
  }

  /// As expect_refused(), for a model that `break_it` has changed.
  void expect_broken(const std::function<void(GgufBuilder&)>& break_it, const std::string& words,
                     const TinyModelOptions& options = {}) {
    GgufBuilder model = make_tiny_model(options);
    break_it(model);
    expect_refused(model.build(), words);
  }
};

template <typename T>
void put(Bytes& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

TEST_F(BadModels, NotAFile) {
  expect_error(run_tern({"run", "-m", "/no/such/model.gguf", "a"}), 4, "/no/such/model.gguf");
  expect_error(run_tern({"run", "-m", "/tmp", "a"}), 4, "/tmp");
  expect_error(run_tern({"inspect", "/no/such/model.gguf"}), 4, "/no/such/model.gguf");
  expect_error(run_tern({"tokenize", "-m", "/no/such/model.gguf", "a"}), 4, "/no/such/model.gguf");
}

TEST_F(BadModels, NotGguf) {
  expect_refused({}, "empty");
  Bytes bytes = make_tiny_model().build();
  put(bytes, 0, 'X');
  expect_refused(bytes, "GGUF");
}

TEST_F(BadModels, OtherVersionOrByteOrder) {
  Bytes bytes = make_tiny_model().build();
  put(bytes, 4, std::uint32_t{1});
  expect_refused(bytes, "version");
  put(bytes, 4, std::uint32_t{4});
  expect_refused(bytes, "version");
  put(bytes, 4, std::uint32_t{0x03000000});
  expect_refused(bytes, "big-endian");
}

TEST_F(BadModels, AbsurdCounts) {
  const Bytes good = make_tiny_model().build();
  for (const std::size_t at : {8u, 16u}) {  // tensors, keys
    for (const std::uint64_t count : {std::uint64_t{1} << 20, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
      Bytes bytes = good;
      put(bytes, at, count);
      expect_refused(bytes, "");
    }
  }
}

TEST_F(BadModels, TruncatedAnywhere) {
  GgufBuilder model = make_tiny_model({.n_layers = 1});
  const std::size_t header = model.build_header().size();
  const Bytes good = model.build();
  std::vector<std::size_t> lengths = {1, 3, 4, 7, 8, 16, 23, 24, header - 1, header, header + 1, good.size() - 1};
  for (std::size_t n = 25; n < header; n += header / 40) lengths.push_back(n);
  for (std::size_t n = header; n < good.size(); n += good.size() / 12) lengths.push_back(n);
  for (const std::size_t length : lengths) {
    SCOPED_TRACE("the first " + std::to_string(length) + " of " + std::to_string(good.size()) + " bytes");
    expect_refused(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)), "");
  }
}

TEST_F(BadModels, Tensors) {
  expect_broken([](GgufBuilder& m) { m.tensors[2].offset = m.tensors[1].offset; }, "overlap");
  expect_broken([](GgufBuilder& m) { m.tensors[2].offset += 1; }, "offset");
  expect_broken([](GgufBuilder& m) { m.tensors[2].offset = std::uint64_t{1} << 62; }, "blk.0.attn_q.weight");
  expect_broken([](GgufBuilder& m) { find_tensor(m, "blk.0.attn_q.weight").type = 99; }, "99");
  expect_broken([](GgufBuilder& m) { find_tensor(m, "blk.1.ffn_up.weight").name = "blk.1.other"; }, "blk.1");
  expect_broken([](GgufBuilder& m) { find_tensor(m, "blk.0.attn_q.weight").dims = {512, 128}; }, "blk.0.attn_q.weight");
  expect_broken([](GgufBuilder& m) { find_tensor(m, "output_norm.weight").name = "blk.0.attn_norm.weight"; },
                "blk.0.attn_norm.weight");
}

TEST_F(BadModels, Weights) {
  const auto last_scale_to_nan = [](GgufBuilder& m) {
    Bytes& data = find_tensor(m, "blk.1.ffn_down.weight").data;
    put(data, data.size() - 2, std::uint16_t{0x7e00});
  };
  expect_broken(last_scale_to_nan, "blk.1.ffn_down.weight");
  const auto code_3 = [](GgufBuilder& m) { find_tensor(m, "blk.0.ffn_up.weight").data[70] |= std::byte{3}; };
  expect_broken(code_3, "blk.0.ffn_up.weight");
  expect_broken(code_3, "blk.0.ffn_up.weight", {.type = "I2_S"});
}

TEST_F(BadModels, UnknownArchitecture) {
  expect_broken([](GgufBuilder&) {}, "mamba", {.architecture = "mamba"});
}

}  // namespace
}  // namespace tern::test
