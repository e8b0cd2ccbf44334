#include "tern/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "src/base/check.h"

namespace tern {
namespace {

constexpr std::size_t kMostExact = 400;     // product of the sizes of two sets up to which counts are exact
constexpr std::size_t kResamplings = 2000;  // of the bootstrap
constexpr double kTail = 0.025;             // left out at each end of an interval

/// `values` ascending, `share` 0 to 1.
double quantile(const std::vector<double>& values, double share) {
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

double median_of(std::vector<double> values) {
  std::ranges::sort(values);
  return quantile(values, 0.5);
}

/// Ranks of two sets thrown together, 1 for the smallest; equal values share the mean of theirs.
struct Ranking {
  double first_sum = 0.0;  // of the ranks of the first set
  double ties = 0.0;       // sum of t^3 - t over groups of t equal values
};

Ranking rank(std::span<const double> first, std::span<const double> second) {
  std::vector<std::pair<double, bool>> all;  // value, whether it is of the first set
  for (const double value : first) all.emplace_back(value, true);
  for (const double value : second) all.emplace_back(value, false);
  std::ranges::sort(all);
  Ranking ranking;
  for (std::size_t begin = 0; begin < all.size();) {
    std::size_t end = begin;
    std::size_t n_first = 0;
    for (; end < all.size() && all[end].first == all[begin].first; ++end) n_first += all[end].second ? 1 : 0;
    const double size = static_cast<double>(end - begin);
    const double mean_rank = static_cast<double>(begin + 1 + end) / 2;
    ranking.first_sum += static_cast<double>(n_first) * mean_rank;
    ranking.ties += size * size * size - size;
    begin = end;
  }
  return ranking;
}

/// In how many of the C(n + m, n) orders of two sets U, the number of pairs in which the first set's value is the
/// larger one, has each value: the recurrence count(n, m, u) = count(n - 1, m, u - m) + count(n, m - 1, u).
std::vector<double> count_orders(std::size_t n, std::size_t m) {
  // rows[j] is count(i, j, .) for the i of the loop.
  std::vector<std::vector<double>> rows(m + 1, std::vector<double>(n * m + 1, 0.0));
  for (std::vector<double>& row : rows) row[0] = 1.0;
  for (std::size_t i = 1; i <= n; ++i) {
    for (std::size_t j = 1; j <= m; ++j) {
      // rows[j] still holds count(i - 1, j, .); from the right, so that it is read before it is overwritten.
      for (std::size_t u = n * m + 1; u-- > 0;) {
        rows[j][u] = (u >= j ? rows[j][u - j] : 0.0) + rows[j - 1][u];
      }
    }
  }
  return rows[m];
}

double exact_p_value(double u, std::size_t n, std::size_t m) {
  const std::vector<double> counts = count_orders(n, m);
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  const auto smaller = static_cast<std::size_t>(std::min(u, static_cast<double>(n * m) - u));
  const double tail = std::accumulate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(smaller) + 1, 0.0);
  return std::min(1.0, 2 * tail / total);
}

double normal_p_value(double u, double n, double m, double ties) {
  const double mean = n * m / 2;
  const double total = n + m;
  const double variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)));
  if (variance <= 0.0) return 1.0;  // all values are equal
  const double z = std::max(0.0, std::abs(u - mean) - 0.5) / std::sqrt(variance);
  return std::erfc(z / std::sqrt(2.0));
}

double mann_whitney(std::span<const double> first, std::span<const double> second) {
  const Ranking ranking = rank(first, second);
  const auto n = static_cast<double>(first.size());
  const auto m = static_cast<double>(second.size());
  const double u = ranking.first_sum - n * (n + 1) / 2;
  const bool exact = ranking.ties == 0.0 && first.size() * second.size() <= kMostExact;
  return exact ? exact_p_value(u, first.size(), second.size()) : normal_p_value(u, n, m, ranking.ties);
}

/// SplitMix64. Source: Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number Generators", OOPSLA
class Random {
 public:
  std::size_t below(std::size_t n) noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111eb;
    return static_cast<std::size_t>((z ^ (z >> 31U)) % n);
  }

 private:
  std::uint64_t state_ = 1;
};

double resampled_median(Random& random, std::span<const double> samples) {
  std::vector<double> drawn(samples.size());
  for (double& value : drawn) value = samples[random.below(samples.size())];
  return median_of(std::move(drawn));
}

void check_samples(std::span<const double> samples) {
  if (samples.empty()) fail(ErrorKind::kInvalidArgument, "nothing to compare: a set of measurements is empty");
  for (const double sample : samples) {
    if (!std::isfinite(sample) || sample <= 0.0) {
      fail(ErrorKind::kInvalidArgument, "a measurement to compare: expected a positive number, found {}", sample);
    }
  }
}

}  // namespace

Spread spread_of(std::span<const double> samples) {
  if (samples.empty()) return {};
  std::vector<double> values(samples.begin(), samples.end());
  std::ranges::sort(values);
  return {.n = values.size(),
          .low = values.front(),
          .first = quantile(values, 0.25),
          .median = quantile(values, 0.5),
          .third = quantile(values, 0.75),
          .high = values.back()};
}

Comparison compare_samples(std::span<const double> first, std::span<const double> second) {
  check_samples(first);
  check_samples(second);
  Random random;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < kResamplings; ++i) {
    const double below = resampled_median(random, first);
    ratios.push_back(resampled_median(random, second) / below);
  }
  std::ranges::sort(ratios);
  return {.ratio = spread_of(second).median / spread_of(first).median,
          .ratio_low = quantile(ratios, kTail),
          .ratio_high = quantile(ratios, 1.0 - kTail),
          .p_value = mann_whitney(first, second)};
}

std::vector<double> adjust_p_values(std::span<const double> p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return p_values[i]; });
  std::vector<double> adjusted(p_values.size());
  double highest = 0.0;  // so far: a larger p-value never ends below a smaller one
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double raised = p_values[order[i]] * static_cast<double>(order.size() - i);
    highest = std::max(highest, std::min(1.0, raised));
    adjusted[order[i]] = highest;
  }
  return adjusted;
}

}  // namespace tern
