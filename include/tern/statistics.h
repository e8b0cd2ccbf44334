#pragma once

#include <cstddef>
#include <span>
#include <vector>

/// What repeated measurements say, without the assumption that they are normally distributed: times are not.
namespace tern {

/// Where a set of measurements lies.
struct Spread {
  std::size_t n = 0;
  double low = 0.0;     ///< smallest
  double first = 0.0;   ///< first quartile
  double median = 0.0;  ///< 0 of nothing, like all others
  double third = 0.0;   ///< third quartile
  double high = 0.0;    ///< largest

  /// Half of the distance between the quartiles, as a share of the median: "+-2 %".
  [[nodiscard]] double relative() const noexcept { return median > 0.0 ? (third - first) / 2 / median : 0.0; }
};

/// Quartiles are interpolated between neighbours. Source: Hyndman and Fan 1996, "Sample Quantiles in Statistical
/// Packages", The American Statistician 50(4), definition 7
[[nodiscard]] Spread spread_of(std::span<const double> samples);

/// How a second set of measurements differs from a first.
struct Comparison {
  double ratio = 1.0;       ///< median of the second / median of the first
  double ratio_low = 1.0;   ///< the middle 95 % of ratios of resampled sets
  double ratio_high = 1.0;  ///<
  double p_value = 1.0;     ///< of so different ranks if both came from one source
};

/// Compares two sets of positive measurements, neither empty.
///
/// p_value     Mann-Whitney U, two-sided: exact for few measurements without ties, else its normal approximation with
///             corrections for ties and continuity. Source: Mann and Whitney 1947, "On a Test of Whether one of Two
///             Random Variables is Stochastically Larger than the Other", Annals of Mathematical Statistics 18(1)
/// ratio_*     percentile bootstrap. Source: Efron 1979, "Bootstrap Methods", Annals of Statistics 7(1)
/// Errors      Error: kInvalidArgument (an empty set, a measurement that is not positive and finite)
/// Exact       the same input gives the same result: the resampling has a fixed seed
[[nodiscard]] Comparison compare_samples(std::span<const double> first, std::span<const double> second);

/// p-values of several comparisons, raised so that the chance of even one false alarm stays below the level at which
/// they are read. Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
/// Statistics 6(2)
[[nodiscard]] std::vector<double> adjust_p_values(std::span<const double> p_values);

}  // namespace tern
