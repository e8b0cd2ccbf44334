#pragma once

#include <filesystem>
#include <optional>

namespace tern {

/// Processors' worth of time that the control groups of this process may use, e.g. 1.5; nothing when there is no limit.
///
/// `membership` is /proc/self/cgroup, `root` where control groups are mounted; both versions of them are understood.
/// Source    Documentation/admin-guide/cgroup-v2.rst ("cpu.max") and Documentation/scheduler/sched-bwc.rst of Linux
[[nodiscard]] std::optional<double> cpu_quota(const std::filesystem::path& membership = "/proc/self/cgroup",
                                              const std::filesystem::path& root = "/sys/fs/cgroup");

}  // namespace tern
