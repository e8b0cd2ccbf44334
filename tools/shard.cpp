#include "tools/shard.h"

#include <fmt/core.h>

#include <cstdlib>
#include <optional>

#include "tern/error.h"
#include "tools/input.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

constexpr std::size_t kMostProcesses = std::size_t{1} << 31;

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorKind::kInvalidArgument, "--shard auto: " + message);
}

/// Nothing when the variable is not set, or empty.
std::optional<std::size_t> number_in(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || *value == 0) return std::nullopt;
  const auto number = parse_number<std::size_t>(value);
  if (!number || *number > kMostProcesses) {
    refuse(fmt::format("{}: expected a number up to {}, found '{}'", variable, kMostProcesses, one_line(value)));
  }
  return number;
}

std::size_t required_number_in(const char* variable, const char* besides) {
  const auto number = number_in(variable);
  if (!number) refuse(fmt::format("{} is set, but not {}", besides, variable));
  return *number;
}

/// Two variables: which process this is, counted from 0, and of how many.
struct Source {
  const char* rank;
  const char* count;
};

Shard checked_shard(const Source& source, std::size_t rank, std::size_t count) {
  if (rank >= count) {
    refuse(fmt::format("{} is {}, but {} is {}: expected a smaller one", source.rank, rank, source.count, count));
  }
  return {rank + 1, count};
}

/// Processes that were started together. The first that is there counts: MPI may itself have been started by Slurm.
/// What is set without its count is of no meaning here: a batch script of Slurm, which runs once, has a SLURM_PROCID.
constexpr Source kProcesses[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},  // Open MPI
    {"PMI_RANK", "PMI_SIZE"},                          // MPICH, Intel MPI
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},          // srun
};

std::optional<Shard> find_process() {
  for (const Source& source : kProcesses) {
    const auto rank = number_in(source.rank);
    const auto count = number_in(source.count);
    if (rank && count) return checked_shard(source, *rank, *count);
  }
  return std::nullopt;
}

/// --array=MIN-MAX:STEP. A task of a list, or of a part that is run once more, cannot know which shard it was: only
/// whole ranges from 0 or 1 on are taken.
std::optional<Shard> find_array_task() {
  constexpr Source kTask = {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"};
  const auto id = number_in(kTask.rank);
  if (!id) return std::nullopt;
  const std::size_t count = required_number_in(kTask.count, kTask.rank);
  const std::size_t min = required_number_in("SLURM_ARRAY_TASK_MIN", kTask.rank);
  const std::size_t max = required_number_in("SLURM_ARRAY_TASK_MAX", kTask.rank);
  const std::size_t step = required_number_in("SLURM_ARRAY_TASK_STEP", kTask.rank);
  const bool whole = min <= 1 && count > 0 && step > 0 && max == min + (count - 1) * step;
  if (!whole || *id < min || *id > max || (*id - min) % step != 0) {
    refuse(
        fmt::format("task {} of an array of {} from {} to {}: expected a whole range from 0 or 1 on; else say "
                    "--shard I/N",
                    *id, count, min, max));
  }
  return Shard{(*id - min) / step + 1, count};
}

std::optional<Shard> find_pod() {
  constexpr Source kPod = {"JOB_COMPLETION_INDEX", "TERN_SHARDS"};
  const auto index = number_in(kPod.rank);
  if (!index) return std::nullopt;
  return checked_shard(kPod, *index, required_number_in(kPod.count, kPod.rank));
}

Shard find_shard() {
  std::optional<Shard> job = find_array_task();
  if (!job) job = find_pod();
  const std::optional<Shard> process = find_process();
  if (!job && !process) {
    refuse(
        "found no rank of Open MPI, MPICH, srun, a Slurm array or a Kubernetes indexed job (which needs TERN_SHARDS, "
        "its number of completions)");
  }
  const Shard outer = job.value_or(Shard{});
  const Shard inner = process.value_or(Shard{});
  return {(outer.index - 1) * inner.count + inner.index, outer.count * inner.count};
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
