#include "src/engine/energy.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace tern::engine {
namespace {

namespace fs = std::filesystem;

template <typename T>
std::optional<T> read_value(const fs::path& path) {
  std::ifstream file(path);
  T value{};
  if (!(file >> value)) return std::nullopt;
  return value;
}

}  // namespace

EnergyMeter::EnergyMeter(const fs::path& root) {
  std::error_code error;
  std::vector<fs::path> zones;
  for (const fs::directory_entry& entry : fs::directory_iterator(root, error)) zones.push_back(entry.path());
  std::ranges::sort(zones);
  bool unreadable = false;
  for (const fs::path& zone : zones) {
    // Cores and memory are zones inside a package's, whose counter includes the cores.
    if (!read_value<std::string>(zone / "name").value_or("").starts_with("package")) continue;
    const auto energy = read_value<std::uint64_t>(zone / "energy_uj");
    const auto range = read_value<std::uint64_t>(zone / "max_energy_range_uj");
    unreadable = unreadable || !energy || !range;
    if (energy && range) counters_.push_back({zone / "energy_uj", *range, *energy});
  }
  if (unreadable) {
    counters_.clear();
    description_ = fmt::format("not measured: {} may not be read (RAPL is for root)", root.string());
  } else if (counters_.empty()) {
    description_ = fmt::format("not measured: no energy counters in {}", root.string());
  } else {
    description_ = fmt::format("RAPL, {} package{}", counters_.size(), counters_.size() == 1 ? "" : "s");
  }
}

std::optional<double> EnergyMeter::take() {
  std::uint64_t total = 0;  // microjoules
  for (Counter& counter : counters_) {
    const auto now = read_value<std::uint64_t>(counter.energy);
    if (!now) return std::nullopt;
    total += *now >= counter.last ? *now - counter.last : *now + (counter.range - counter.last);
    counter.last = *now;
  }
  if (counters_.empty()) return std::nullopt;
  return static_cast<double>(total) * 1e-6;
}

}  // namespace tern::engine
