#include "tests/tools/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace tern::test {
namespace {

struct Pipe {
  int read_end = -1;
  int write_end = -1;

  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    close_read();
    close_write();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  void close_read() { close_end(read_end); }
  void close_write() { close_end(write_end); }

 private:
  static void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
};

struct Pipes {
  Pipe in, out, err;
};

[[noreturn]] void become_program(const Launch& launch, const Pipes& pipes) {
  int out = pipes.out.write_end;
  if (!launch.output_path.empty()) out = ::open(launch.output_path.c_str(), O_WRONLY | O_CREAT, 0600);
  ::dup2(pipes.in.read_end, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(pipes.err.write_end, STDERR_FILENO);
  exec_tern(launch);
}

/// Appends what can be read; false at the end.
bool read_some(int from, std::string& to) {
  char buffer[4096];
  const ::ssize_t n = ::read(from, buffer, sizeof buffer);
  if (n > 0) to.append(buffer, static_cast<std::size_t>(n));
  return n > 0;
}

void feed(Pipe& in, const std::string& input) {
  // Inputs here fit into a pipe's buffer, so this cannot block on a child that does not read.
  if (!input.empty() && ::write(in.write_end, input.data(), input.size()) < 0) return;
  in.close_write();
}

/// Time until `end`, at least none.
::timespec time_until(std::chrono::steady_clock::time_point end) {
  const auto left = std::max(end - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  return {seconds.count(), std::chrono::nanoseconds(left - seconds).count()};
}

void collect(::pid_t child, const Launch& launch, Pipes& pipes, Outcome& outcome) {
  bool acted = false;
  bool kill_later = launch.kill_after.count() > 0;
  const auto kill_at = std::chrono::steady_clock::now() + launch.kill_after;
  while (pipes.out.read_end >= 0 || pipes.err.read_end >= 0) {
    ::pollfd waiting[] = {{pipes.out.read_end, POLLIN, 0}, {pipes.err.read_end, POLLIN, 0}};
    const ::timespec timeout = time_until(kill_at);
    const int n_ready = ::ppoll(waiting, 2, kill_later ? &timeout : nullptr, nullptr);
    if (kill_later && std::chrono::steady_clock::now() >= kill_at) {
      ::kill(child, SIGKILL);
      kill_later = false;
    }
    if (n_ready <= 0) continue;
    if (waiting[0].revents != 0 && !read_some(pipes.out.read_end, outcome.out)) pipes.out.close_read();
    if (waiting[1].revents != 0 && !read_some(pipes.err.read_end, outcome.err)) pipes.err.close_read();
    if (acted || outcome.out.empty()) continue;
    acted = true;
    if (launch.signal_after_output != 0) ::kill(child, launch.signal_after_output);
    if (launch.close_output_early) pipes.out.close_read();
  }
}

}  // namespace

void exec_tern(const Launch& launch) {
  ::unsetenv("TERN_MODEL");
  for (const auto& [name, value] : launch.environment) ::setenv(name.c_str(), value.c_str(), 1);
  const std::string program = launch.program.empty() ? tern_command() : launch.program;
  std::vector<char*> argv = {const_cast<char*>(launch.program.empty() ? "tern" : program.c_str())};
  for (const std::string& argument : launch.arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execvp(program.c_str(), argv.data());
  ::_exit(127);
}

Outcome run_tern(const Launch& launch) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipes pipes;
  const ::pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) become_program(launch, pipes);
  pipes.in.close_read();
  pipes.out.close_write();
  pipes.err.close_write();
  feed(pipes.in, launch.input);

  Outcome outcome;
  collect(child, launch, pipes, outcome);
  int status = 0;
  ::waitpid(child, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

Outcome run_tern(const std::vector<std::string>& arguments) { return run_tern(Launch{.arguments = arguments}); }

std::string tern_command() { return TERN_CLI; }

std::string temporary_path(const std::string& name) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const auto directory = std::filesystem::temp_directory_path() /
                         ("tern-" + std::to_string(::getpid()) + "-" + test->test_suite_name() + "-" + test->name());
  std::filesystem::create_directories(directory);
  return (directory / name).string();
}

}  // namespace tern::test
