#include "tools/shard.h"

#include <fmt/core.h>

#include <cstdlib>
#include <optional>

#include "tern/error.h"
#include "tools/input.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

std::optional<std::size_t> number_in(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || *value == 0) return std::nullopt;
  return parse_number<std::size_t>(value);
}

/// Where an engine says which process this is, and of how many.
struct Source {
  const char* rank;
  const char* first;  // variable of the lowest rank; null: ranks begin at 0
  const char* count;
};

/// In this order: the processes of an MPI job that runs inside of Slurm are numbered by MPI.
constexpr Source kSources[] = {
    {"OMPI_COMM_WORLD_RANK", nullptr, "OMPI_COMM_WORLD_SIZE"},                  // Open MPI
    {"PMI_RANK", nullptr, "PMI_SIZE"},                                          // MPICH, Intel MPI
    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT"},  // job arrays, step 1
    {"SLURM_PROCID", nullptr, "SLURM_NTASKS"},                                  // srun
    {"JOB_COMPLETION_INDEX", nullptr, "TERN_SHARDS"},                           // Kubernetes indexed jobs
};

std::optional<Shard> shard_from(const Source& source) {
  const auto rank = number_in(source.rank);
  const auto count = number_in(source.count);
  if (!rank || !count) return std::nullopt;
  const std::size_t first = source.first == nullptr ? 0 : number_in(source.first).value_or(0);
  if (*rank < first || *rank - first >= *count) {
    throw Error(ErrorKind::kInvalidArgument, fmt::format("--shard auto: {} {} of {} {} counted from {}", source.rank,
                                                         *rank, source.count, *count, first));
  }
  return Shard{*rank - first + 1, *count};
}

Shard find_shard() {
  for (const Source& source : kSources) {
    if (const auto shard = shard_from(source)) return *shard;
  }
  throw Error(
      ErrorKind::kInvalidArgument,
      "--shard auto: found no rank of Open MPI, MPICH, Slurm or a Kubernetes indexed job (which needs TERN_SHARDS, "
      "the number of completions)");
}

}  // namespace

Shard parse_shard(std::string_view text) {
  if (text == "auto") return find_shard();
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto index = parse_number<std::size_t>(text.substr(0, slash));
    const auto count = parse_number<std::size_t>(text.substr(slash + 1));
    if (index && count && *index >= 1 && *index <= *count) return {*index, *count};
  }
  throw Error(ErrorKind::kInvalidArgument,
              fmt::format("--shard: expected I/N with 1 <= I <= N, or auto, found '{}'", one_line(text)));
}

}  // namespace tern::tools
