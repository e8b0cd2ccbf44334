#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "kernels/float_tables.h"
#include "tests/kernels/test_float_support.h"

// Every table of float kernels gives the bits of the scalar table, whatever the numbers and the length.
namespace tern::kernels::test {
namespace {

constexpr std::size_t kRows = 9;       // two blocks of four and one more
constexpr std::size_t kStrideGap = 3;  // elements between rows, so that they are aligned in all ways

/// Arguments for every operation, for vectors of n elements.
struct Inputs {
  Inputs(std::size_t size, Kind kind)
      : n(size),
        stride(size + kStrideGap),
        a(make_floats(n, kind, 1)),
        b(make_floats(n, kind, 2)),
        c(make_floats(n, kind, 3)),
        sums(n),
        rows(make_floats((kRows - 1) * stride + n, kind, 5)),
        half_rows(rows.size()) {
    std::mt19937 random(6);
    for (std::size_t i = 0; i < n; ++i) sums.data()[i] = static_cast<std::int32_t>(random()) >> (random() % 31);
    kFloatScalar.f32_to_f16(rows.data(), rows.size(), half_rows.data());
  }

  std::size_t n;
  std::size_t stride;
  GuardedArray<float> a, b, c;      // (n)
  GuardedArray<std::int32_t> sums;  // (n)
  GuardedArray<float> rows;         // (kRows, n), with `stride`
  GuardedArray<std::uint16_t> half_rows;
};

using Values = std::vector<float>;

struct Operation {
  const char* name;
  Values (*run)(const FloatKernels& table, Inputs& in);
};

/// What `write(y)` makes of y, which starts as `start`.
template <typename Write>
Values result(const Values& start, const Write& write) {
  GuardedArray<float> y(start);
  write(y.data());
  return y.values();
}

Values run_quantize(const FloatKernels& table, Inputs& in) {
  GuardedArray<std::int8_t> q(in.n);
  const double step = table.quantize(in.a.data(), in.n, q.data());
  Values values{static_cast<float>(step), static_cast<float>(step - double{static_cast<float>(step)})};  // all bits
  for (const std::int8_t code : q.values()) values.push_back(static_cast<float>(code));
  return values;
}

Values run_f32_to_f16(const FloatKernels& table, Inputs& in) {
  GuardedArray<std::uint16_t> y(in.n);
  table.f32_to_f16(in.a.data(), in.n, y.data());
  Values values;
  for (const std::uint16_t half : y.values()) values.push_back(static_cast<float>(half));
  return values;
}

Values run_add_scaled(const FloatKernels& table, Inputs& in, bool accumulate) {
  return result(in.b.values(), [&](float* y) {
    table.add_scaled_sums(in.sums.data(), in.n, 0.37f, in.half_rows.data(), accumulate, y);
  });
}

const Operation kOperations[] = {
    {"rms_norm",
     [](const FloatKernels& t, Inputs& in) {
       return result(Values(in.n), [&](float* y) { t.rms_norm(in.a.data(), in.b.data(), in.n, 1e-5f, y); });
     }},
    {"quantize", run_quantize},
    {"scale_sums",
     [](const FloatKernels& t, Inputs& in) {
       return result(Values(in.n), [&](float* y) { t.scale_sums(in.sums.data(), in.n, 1.3e-3, y); });
     }},
    {"scale_sums_by_row",
     [](const FloatKernels& t, Inputs& in) {
       return result(Values(in.n), [&](float* y) { t.scale_sums_by_row(in.sums.data(), in.n, 0.37, in.a.data(), y); });
     }},
    {"add_scaled_sums", [](const FloatKernels& t, Inputs& in) { return run_add_scaled(t, in, true); }},
    {"add_scaled_sums_first", [](const FloatKernels& t, Inputs& in) { return run_add_scaled(t, in, false); }},
    {"add", [](const FloatKernels& t,
               Inputs& in) { return result(in.b.values(), [&](float* y) { t.add(in.a.data(), in.n, y); }); }},
    {"scale", [](const FloatKernels& t,
                 Inputs& in) { return result(in.b.values(), [&](float* y) { t.scale(1.7f, in.n, y); }); }},
    {"silu_mul",
     [](const FloatKernels& t, Inputs& in) {
       return result(Values(in.n), [&](float* y) { t.silu_mul(in.a.data(), in.b.data(), in.n, y); });
     }},
    {"gelu_mul",
     [](const FloatKernels& t, Inputs& in) {
       return result(Values(in.n), [&](float* y) { t.gelu_mul(in.a.data(), in.b.data(), in.n, y); });
     }},
    {"relu2_mul",
     [](const FloatKernels& t, Inputs& in) {
       return result(Values(in.n), [&](float* y) { t.relu2_mul(in.a.data(), in.b.data(), in.n, y); });
     }},
    {"rope_neox",
     [](const FloatKernels& t, Inputs& in) {
       return result(in.a.values(), [&](float* y) { t.rope_neox(y, in.b.data(), in.c.data(), in.n / 2 * 2); });
     }},
    {"rope_norm",
     [](const FloatKernels& t, Inputs& in) {
       return result(in.a.values(), [&](float* y) { t.rope_norm(y, in.b.data(), in.c.data(), in.n / 2 * 2); });
     }},
    {"f16_to_f32",
     [](const FloatKernels& t, Inputs& in) {
       const std::size_t n = in.half_rows.size();
       return result(Values(n), [&](float* y) { t.f16_to_f32(in.half_rows.data(), n, y); });
     }},
    {"f32_to_f16", run_f32_to_f16},
    {"dot_rows_f32",
     [](const FloatKernels& t, Inputs& in) {
       return result(Values(kRows),
                     [&](float* y) { t.dot_rows_f32(in.rows.data(), in.stride, kRows, in.a.data(), in.n, y); });
     }},
    {"dot_rows_f16",
     [](const FloatKernels& t, Inputs& in) {
       return result(Values(kRows),
                     [&](float* y) { t.dot_rows_f16(in.half_rows.data(), in.stride, kRows, in.a.data(), in.n, y); });
     }},
};

/// The first index where bits differ, or nothing. Any NaN equals any other: IEEE 754 leaves open whose payload an
/// operation on two of them hands on.
std::string first_difference(const Values& actual, const Values& expected) {
  if (actual.size() != expected.size()) return "different lengths";
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(actual[i]) && std::isnan(expected[i])) continue;
    if (std::bit_cast<std::uint32_t>(actual[i]) == std::bit_cast<std::uint32_t>(expected[i])) continue;
    return fmt::format("element {} is {:a} instead of {:a}", i, actual[i], expected[i]);
  }
  return "";
}

std::vector<std::size_t> sizes() {
  std::vector<std::size_t> all;
  for (std::size_t n = 1; n <= 70; ++n) all.push_back(n);
  for (const std::size_t n : {96u, 128u, 256u, 2560u, 6912u, 6913u}) all.push_back(n);
  return all;
}

class FloatBits : public testing::TestWithParam<std::tuple<const FloatKernels*, Operation>> {};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FloatBits);  // under TERN_ISA=scalar there is nothing to compare

TEST_P(FloatBits, EqualTheScalarTable) {
  const auto& [table, operation] = GetParam();
  for (const Kind kind : kAllKinds) {
    for (const std::size_t n : sizes()) {
      Inputs in(n, kind);
      const Values expected = operation.run(kFloatScalar, in);
      ASSERT_EQ(first_difference(operation.run(*table, in), expected), "")
          << "n = " << n << ", kind " << static_cast<int>(kind);
    }
  }
}

std::vector<const FloatKernels*> vector_tables_here() {
  std::vector<const FloatKernels*> tables = tables_here();
  std::erase(tables, &kFloatScalar);
  return tables;
}

INSTANTIATE_TEST_SUITE_P(Tables, FloatBits,
                         testing::Combine(testing::ValuesIn(vector_tables_here()), testing::ValuesIn(kOperations)),
                         [](const auto& test) {
                           return test_name(std::get<0>(test.param)->name) + "_" + std::get<1>(test.param).name;
                         });

class FloatTable : public testing::TestWithParam<const FloatKernels*> {};

TEST_P(FloatTable, WorksInPlace) {
  constexpr std::size_t kSize = 333;
  const FloatKernels& table = *GetParam();
  Inputs in(kSize, Kind::kOrdinary);
  for (const auto gated : {table.silu_mul, table.gelu_mul, table.relu2_mul}) {
    const Values apart = result(Values(kSize), [&](float* y) { gated(in.a.data(), in.b.data(), kSize, y); });
    const Values in_gate = result(in.a.values(), [&](float* y) { gated(y, in.b.data(), kSize, y); });
    const Values in_up = result(in.b.values(), [&](float* y) { gated(in.a.data(), y, kSize, y); });
    EXPECT_EQ(first_difference(in_gate, apart), "");
    EXPECT_EQ(first_difference(in_up, apart), "");
  }
  const auto norm = [&](const float* x, float* y) { table.rms_norm(x, in.b.data(), kSize, 1e-5f, y); };
  const Values apart = result(Values(kSize), [&](float* y) { norm(in.a.data(), y); });
  const Values in_x = result(in.a.values(), [&](float* y) { norm(y, y); });
  EXPECT_EQ(first_difference(in_x, apart), "");
}

INSTANTIATE_TEST_SUITE_P(Tables, FloatTable, testing::ValuesIn(tables_here()),
                         [](const auto& test) { return test_name(test.param->name); });

}  // namespace
}  // namespace tern::kernels::test
