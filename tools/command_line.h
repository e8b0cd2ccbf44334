#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

/// The words in which commands declare their options. Behind them is CLI11, which takes so long to compile that
/// command_line.cpp alone includes it.
namespace tern::tools {

/// One option of a command: a handle that is cheap to copy, valid as long as the command line.
class Option {
 public:
  /// One that is never given.
  Option() = default;
  explicit Option(CLI::Option* option) : option_(option) {}

  /// What the help calls the value, such as "FILE".
  Option value_name(const std::string& name) const;
  /// Shows the value that the variable has now in the help.
  Option show_default() const;
  /// The heading under which the help lists it.
  Option group(const std::string& title) const;

  Option required() const;
  /// Capitals or not; the variable gets it as it stands in the list.
  Option one_of(const std::vector<std::string>& values) const;
  /// From `least` to `most`, both included and neither negative.
  template <std::integral Least, std::integral Most>
  Option range(Least least, Most most) const {
    return whole_range(static_cast<std::uint64_t>(least), static_cast<std::uint64_t>(most));
  }
  Option range(double least, double most) const;
  Option not_negative() const;

  /// Several values with commas between them.
  Option comma_separated() const;
  /// So many values, with blanks between them.
  Option n_values(int n) const;
  /// As often as one likes, with one value each time.
  Option repeatable() const;

  Option needs(Option other) const;
  Option excludes(Option other) const;

  /// Whether the command line has it, once that is parsed.
  [[nodiscard]] bool is_given() const;

 private:
  Option whole_range(std::uint64_t least, std::uint64_t most) const;

  CLI::Option* option_ = nullptr;
};

/// Only one of them may be given.
void exclude_each_other(const std::vector<Option>& options);

/// A command while it declares its options.
class Command {
 public:
  explicit Command(CLI::App& app) : app_(app) {}

  /// `names`: "-t,--threads"; without dashes, of an argument. `variable` holds the default and receives the value.
  /// T is one of the types listed at the end of command_line.cpp.
  template <typename T>
  Option option(const std::string& names, T& variable, const std::string& help);
  Option flag(const std::string& names, bool& variable, const std::string& help);
  /// Text below the help's options.
  void footer(const std::string& text);

 private:
  CLI::App& app_;
};

/// Carries a command out after its options were parsed; returns the exit status, or throws.
using Action = std::function<int()>;

/// Declares a command's options.
using Declare = Action (*)(Command& cli);

/// The command line of a program that has several commands.
class CommandLine {
 public:
  struct Program {
    std::string name;
    std::string version;
    std::string summary;
    std::string footer;  ///< text below the list of commands
  };

  explicit CommandLine(const Program& program);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  void add_command(const std::string& name, const std::string& summary, Declare declare);
  /// What the user wants: a command, or the help or the version on standard output.
  ///
  /// Errors    Error(kInvalidArgument): the user's mistakes
  [[nodiscard]] Action parse(int argc, char** argv);

 private:
  std::unique_ptr<CLI::App> app_;
  Action chosen_;  // of the command that was named, once parsed
};

}  // namespace tern::tools
