#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tern::engine {

/// Energy that the processor's packages have used, from counters that the kernel may let us read (RAPL).
/// Source    Documentation/power/powercap/powercap.rst of Linux
class EnergyMeter {
 public:
  explicit EnergyMeter(const std::filesystem::path& root = "/sys/class/powercap");

  /// What is read, or why nothing can be: one line.
  [[nodiscard]] const std::string& description() const noexcept { return description_; }

  /// Joules since the last call or since construction; nothing when a counter cannot be read. Counters go back to zero
  /// after minutes or hours: that is understood once between two calls.
  [[nodiscard]] std::optional<double> take();

 private:
  struct Counter {
    std::filesystem::path energy;  // a file: microjoules
    std::uint64_t range = 0;       // microjoules after which it begins again
    std::uint64_t last = 0;
  };
  std::vector<Counter> counters_;
  std::string description_;
};

}  // namespace tern::engine
