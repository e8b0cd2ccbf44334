#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tern::tools {

/// The part of a batch that one of several processes takes: every `count`-th record, from the `index`-th on.
struct Shard {
  std::size_t index = 1;  ///< 1 .. count
  std::size_t count = 1;

  [[nodiscard]] bool holds(std::size_t line) const { return (line - 1) % count == index - 1; }
  [[nodiscard]] std::string name() const { return std::to_string(index) + "of" + std::to_string(count); }
};

/// "2/8", or "auto" for what an engine that starts many processes says in their environment: Slurm, MPI, Kubernetes.
/// The processes of the tasks of a job array, or of the pods of an indexed job, are counted through.
///
/// Errors    Error(kInvalidArgument): neither; nothing found; variables that are no numbers or contradict each other
[[nodiscard]] Shard parse_shard(std::string_view text);

}  // namespace tern::tools
