#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace tern::test {

/// How the tern command, or another program, is started.
struct Launch {
  std::vector<std::string> arguments;
  std::string input = {};                                             ///< on standard input
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< added; TERN_MODEL is unset otherwise
  std::string output_path = {};             ///< standard output goes to this file instead of a pipe
  bool close_output_early = false;          ///< stop reading standard output after its first bytes
  int signal_after_output = 0;              ///< sent after the first bytes of standard output
  std::chrono::microseconds kill_after{0};  ///< SIGKILL at this time after the start; 0: never
  std::string program = {};                 ///< instead of tern; looked for as a shell does
};

struct Outcome {
  int status = -1;  ///< exit status, or 128 + the signal that ended it
  std::string out;
  std::string err;
};

/// Runs tern and waits for it.
Outcome run_tern(const Launch& launch);
/// With arguments alone.
Outcome run_tern(const std::vector<std::string>& arguments);

/// Becomes tern, or the program, with the arguments and environment of `launch`. In a child process only.
[[noreturn]] void exec_tern(const Launch& launch);
/// The tern command under test.
std::string tern_command();

/// A path of this name in a directory of this test's own.
std::string temporary_path(const std::string& name);

}  // namespace tern::test
