#include <cstdlib>
#include <map>
#include <optional>

#include "tests/tools/batch_fixture.h"

// tern batch --shard: which part each of several processes takes, and that all parts together are the whole.
namespace tern::test {
namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

/// The variables of all engines that start processes, empty: the tests themselves may run under one.
Environment no_engine() {
  Environment environment;
  for (const char* name :
       {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "SLURM_PROCID", "SLURM_NTASKS",
        "SLURM_STEP_NUM_TASKS", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_STEP", "JOB_COMPLETION_INDEX", "TERN_SHARDS"}) {
    environment.emplace_back(name, "");
  }
  return environment;
}

/// What Slurm says to task `id` of sbatch --array=min-max:step.
Environment array_task(int id, int min, int max, int step, int count) {
  return {{"SLURM_ARRAY_TASK_ID", std::to_string(id)},
          {"SLURM_ARRAY_TASK_MIN", std::to_string(min)},
          {"SLURM_ARRAY_TASK_MAX", std::to_string(max)},
          {"SLURM_ARRAY_TASK_STEP", std::to_string(step)},
          {"SLURM_ARRAY_TASK_COUNT", std::to_string(count)}};
}

/// What it says to a process that srun has started.
Environment slurm_step(int rank, int size) {
  return {{"SLURM_PROCID", std::to_string(rank)}, {"SLURM_STEP_NUM_TASKS", std::to_string(size)}};
}

Environment open_mpi(int rank, int size) {
  return {{"OMPI_COMM_WORLD_RANK", std::to_string(rank)}, {"OMPI_COMM_WORLD_SIZE", std::to_string(size)}};
}

Environment mpich(int rank, int size) {
  return {{"PMI_RANK", std::to_string(rank)}, {"PMI_SIZE", std::to_string(size)}};
}

Environment both(Environment a, const Environment& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class ShardOption : public BatchCommand {
 protected:
  [[nodiscard]] Launch shard_auto(const Environment& environment) const {
    return {.arguments = with_model(
                "batch", {"-i", input_, "-o", output_ + ".{shard}", "-c", "160", "-t", "1", "-q", "--shard", "auto"}),
            .environment = both(no_engine(), environment)};
  }

  /// The shard that a process takes with these variables.
  [[nodiscard]] std::string shard_in(const Environment& environment) const {
    const Outcome outcome = run_tern(shard_auto(environment));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    const std::string prefix = output_ + ".";
    std::string found;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(output_).parent_path())) {
      const std::string path = entry.path().string();
      if (!path.starts_with(prefix)) continue;
      if (!path.ends_with(".run")) found += path.substr(prefix.size());
      std::filesystem::remove(path);
    }
    return found;
  }

  /// All results of the files of `count` shards, in the order of their records.
  [[nodiscard]] std::string results_of(std::size_t count) const {
    std::map<std::size_t, std::string> lines;
    for (std::size_t shard = 1; shard <= count; ++shard) {
      std::istringstream in(read(output_ + "." + std::to_string(shard) + "of" + std::to_string(count)));
      for (std::string line; std::getline(in, line);) lines[Json::parse(line)["line"].get<std::size_t>()] = line + "\n";
    }
    std::string together;
    for (const auto& [number, line] : lines) together += line;
    return together;
  }
};

TEST_F(ShardOption, IsWhatEachEngineSays) {
  write(input_, "{\"prompt\": \"a\", \"max_tokens\": 1}\n");
  const std::vector<std::pair<Environment, std::string>> cases = {
      {open_mpi(0, 3), "1of3"},
      {open_mpi(2, 3), "3of3"},
      {mpich(1, 4), "2of4"},
      {slurm_step(4, 5), "5of5"},
      {array_task(1, 1, 8, 1, 8), "1of8"},
      {array_task(8, 1, 8, 1, 8), "8of8"},
      {array_task(0, 0, 3, 1, 4), "1of4"},
      {array_task(6, 0, 9, 3, 4), "3of4"},
      {{{"JOB_COMPLETION_INDEX", "0"}, {"TERN_SHARDS", "2"}}, "1of2"},
      {{{"JOB_COMPLETION_INDEX", "1"}, {"TERN_SHARDS", "2"}}, "2of2"},
      // MPI started by Slurm; srun with MPI's own interface.
      {both(open_mpi(2, 3), slurm_step(0, 1)), "3of3"},
      {both(mpich(1, 3), slurm_step(1, 3)), "2of3"},
      // Several processes in every task of an array, or in every pod.
      {both(array_task(2, 1, 3, 1, 3), slurm_step(1, 2)), "4of6"},
      {both(array_task(3, 1, 3, 1, 3), open_mpi(0, 4)), "9of12"},
      {both({{"JOB_COMPLETION_INDEX", "1"}, {"TERN_SHARDS", "2"}}, open_mpi(1, 2)), "4of4"},
      // The script of an array of jobs of two tasks runs once in each.
      {both(array_task(2, 1, 3, 1, 3), {{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}}), "2of3"},
  };
  for (const auto& [environment, expected] : cases) EXPECT_EQ(shard_in(environment), expected);
}

TEST_F(ShardOption, RefusesWhatContradictsItself) {
  const std::vector<std::pair<Environment, std::string>> cases = {
      {{}, "found no rank"},
      {open_mpi(3, 3), "OMPI_COMM_WORLD_RANK is 3, but OMPI_COMM_WORLD_SIZE is 3"},
      {mpich(0, 0), "PMI_SIZE is 0"},
      {slurm_step(7, 2), "SLURM_PROCID is 7"},
      {{{"PMI_RANK", "-1"}, {"PMI_SIZE", "2"}}, "PMI_RANK: expected a number"},
      {{{"PMI_RANK", "0"}, {"PMI_SIZE", "two"}}, "PMI_SIZE: expected a number"},
      {{{"PMI_RANK", "0"}, {"PMI_SIZE", "99999999999999999999"}}, "PMI_SIZE: expected a number"},
      {{{"OMPI_COMM_WORLD_RANK", "1 "}, {"OMPI_COMM_WORLD_SIZE", "2"}}, "found '1 '"},
      // A batch script runs once, however many tasks its job has.
      {{{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}}, "found no rank"},
      {{{"PMI_RANK", "0"}}, "found no rank"},
      {{{"PMI_SIZE", "3"}}, "found no rank"},
      {{{"TERN_SHARDS", "3"}}, "found no rank"},
      {{{"JOB_COMPLETION_INDEX", "1"}}, "JOB_COMPLETION_INDEX is set, but not TERN_SHARDS"},
      {{{"JOB_COMPLETION_INDEX", "3"}, {"TERN_SHARDS", "3"}}, "TERN_SHARDS is 3"},
      {{{"JOB_COMPLETION_INDEX", "0"}, {"TERN_SHARDS", "0x2"}}, "found '0x2'"},
      {{{"SLURM_ARRAY_TASK_ID", "1"}}, "SLURM_ARRAY_TASK_COUNT"},
      // Lists (their step is 1), and parts of an array that are sent again.
      {array_task(1, 1, 5, 1, 3), "expected a whole range"},
      {array_task(3, 3, 3, 1, 1), "expected a whole range"},
      {array_task(4, 3, 5, 1, 3), "expected a whole range"},
      {array_task(9, 1, 8, 1, 8), "expected a whole range"},
      {array_task(0, 1, 8, 1, 8), "expected a whole range"},
      {array_task(4, 0, 9, 3, 4), "expected a whole range"},
      {array_task(1, 1, 8, 0, 8), "expected a whole range"},
      {array_task(0, 0, 0, 1, 0), "expected a whole range"},
      // One level is fine, the other is not.
      {both(array_task(1, 1, 2, 1, 2), open_mpi(5, 2)), "OMPI_COMM_WORLD_RANK is 5"},
  };
  for (const auto& [environment, words] : cases) expect_error(run_tern(shard_auto(environment)), 2, words);
}

TEST_F(ShardOption, IsOneOfSome) {
  for (const char* wrong : {"4/3", "0/3", "1/0", "1", "/", "1/", "/2", "a/b", "1/2/3", "-1/2", ""}) {
    expect_error(run_tern(batch({"--shard", wrong})), 2, "--shard");
  }
  expect_error(run_tern(batch({"--shard", "1/3"})), 2, "{shard}");  // all would write to one file
}

TEST_F(ShardOption, PartsHoldTogetherWhatOneRunHolds) {
  const std::string expected = plain_results();
  for (int rank = 0; rank < 3; ++rank) {
    const Outcome outcome = run_tern(shard_auto(mpich(rank, 3)));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }
  EXPECT_EQ(results_of(3), expected);
}

/// mpirun of `n` processes of a batch; nothing where there is no mpirun.
std::optional<Launch> mpirun(int n, const Launch& launch) {
  if (std::system("mpirun --version >/dev/null 2>&1") != 0) return std::nullopt;
  Launch parallel{.arguments = {"-n", std::to_string(n)}, .environment = launch.environment, .program = "mpirun"};
  const bool is_open_mpi = std::system("mpirun --version | grep -q 'Open MPI'") == 0;
  if (is_open_mpi) parallel.arguments.insert(parallel.arguments.end(), {"--oversubscribe", "--bind-to", "none"});
  parallel.environment.insert(parallel.environment.end(),
                              {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}});
  parallel.arguments.push_back(tern_command());
  parallel.arguments.insert(parallel.arguments.end(), launch.arguments.begin(), launch.arguments.end());
  return parallel;
}

TEST_F(ShardOption, UnderRealMpi) {
  const std::optional<Launch> launch = mpirun(3, shard_auto({}));
  if (!launch) GTEST_SKIP() << "mpirun is not installed";
  const std::string expected = plain_results();
  const Outcome outcome = run_tern(*launch);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(results_of(3), expected);

  // One of them is killed halfway, which ends all of them.
  const std::string second = output_ + ".2of3";
  write(second, read(second).substr(0, read(second).size() / 2));
  Launch again = *launch;
  again.arguments.emplace_back("--resume");
  const Outcome resumed = run_tern(again);
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(results_of(3), expected);
}

}  // namespace
}  // namespace tern::test
