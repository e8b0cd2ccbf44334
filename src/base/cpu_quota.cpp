#include "src/base/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

namespace tern {
namespace {

namespace fs = std::filesystem;

/// quota / period, both in microseconds; nothing for "max", -1 and whatever makes no sense.
std::optional<double> ratio(const std::string& quota, const std::string& period) {
  try {
    const double q = std::stod(quota);
    const double p = std::stod(period);
    if (q > 0.0 && p > 0.0) return q / p;
  } catch (const std::exception&) {  // "max", or not a number
  }
  return std::nullopt;
}

/// Version 2: one file, "150000 100000" or "max 100000".
std::optional<double> limit_v2(const fs::path& group) {
  std::ifstream file(group / "cpu.max");
  std::string quota, period;
  return file >> quota >> period ? ratio(quota, period) : std::nullopt;
}

/// Version 1: a file each.
std::optional<double> limit_v1(const fs::path& group) {
  std::ifstream quota_file(group / "cpu.cfs_quota_us");
  std::ifstream period_file(group / "cpu.cfs_period_us");
  std::string quota, period;
  return quota_file >> quota && period_file >> period ? ratio(quota, period) : std::nullopt;
}

/// The tightest limit of a group and those around it: each of them holds.
template <typename Limit>
std::optional<double> tightest(const fs::path& root, const fs::path& group, const Limit& limit) {
  std::optional<double> least = limit(root);
  fs::path at = root;
  for (const fs::path& part : group.relative_path()) {
    if (part == "..") break;  // the group lies outside of what is mounted here
    at /= part;
    const std::optional<double> here = limit(at);
    if (here) least = std::min(least.value_or(*here), *here);
  }
  return least;
}

}  // namespace

std::optional<double> cpu_quota(const fs::path& membership, const fs::path& root) {
  std::optional<double> least;
  std::ifstream file(membership);
  for (std::string line; std::getline(file, line);) {  // "0::/user.slice" or "4:cpu,cpuacct:/user.slice"
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    std::optional<double> limit;
    if (controllers == ",,") {
      limit = tightest(root, group, limit_v2);
    } else if (controllers.find(",cpu,") != std::string::npos) {
      limit = tightest(root / "cpu", group, limit_v1);
    }
    if (limit) least = std::min(least.value_or(*limit), *limit);
  }
  return least;
}

}  // namespace tern
