#include "tools/command_line.h"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <charconv>
#include <limits>
#include <optional>
#include <sstream>
#include <type_traits>

#include "tern/error.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {

namespace {

// What CLI11 calls a check: an empty text, or what is wrong with a value. Its own ones take -1 for a large number, call
// the limits of a double by all their digits, and add them to the help.

constexpr const char* kNumberCheck = "number";  // its name
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string expected_but_found(std::string_view expected, const std::string& found) {
  return fmt::format("expected {}, found {}", expected, found);
}

auto check_whole(std::uint64_t least, std::uint64_t most) {
  return [least, most](const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = !text.empty() && end == text.data() + text.size() && error == std::errc{};
    return whole && value >= least && value <= most
               ? std::string()
               : expected_but_found(fmt::format("a whole number from {} to {}", least, most), text);
  };
}

auto check_real(double least, double most, const std::string& expected) {
  return [least, most, expected](const std::string& text) {
    double value = 0.0;
    const bool good = CLI::detail::lexical_cast(text, value) && value >= least && value <= most;  // NaN is neither
    return good ? std::string() : expected_but_found(expected, text);
  };
}

template <typename T>
struct NumberIn {
  using Type = T;
};
template <typename T>
struct NumberIn<std::vector<T>> : NumberIn<T> {};
template <typename T>
struct NumberIn<std::optional<T>> : NumberIn<T> {};

}  // namespace

Option Option::value_name(const std::string& name) const { return Option(option_->type_name(name)); }
Option Option::show_default() const { return Option(option_->capture_default_str()); }
Option Option::group(const std::string& title) const { return Option(option_->group(title)); }

Option Option::required() const { return Option(option_->required()); }
Option Option::one_of(const std::vector<std::string>& values) const {
  return Option(option_->transform(CLI::IsMember(values, CLI::ignore_case)));
}
Option Option::whole_range(std::uint64_t least, std::uint64_t most) const {
  option_->get_validator(kNumberCheck)->operation(check_whole(least, most));
  return *this;
}
Option Option::range(double least, double most) const {
  option_->get_validator(kNumberCheck)
      ->operation(check_real(least, most, fmt::format("a number from {} to {}", least, most)));
  return *this;
}
Option Option::not_negative() const {
  option_->get_validator(kNumberCheck)->operation(check_real(0.0, kInfinity, "a number of 0 or more"));
  return *this;
}

Option Option::comma_separated() const { return Option(option_->delimiter(',')); }
Option Option::n_values(int n) const { return Option(option_->expected(n)); }
Option Option::repeatable() const { return Option(option_->allow_extra_args(false)); }

Option Option::needs(Option other) const { return Option(option_->needs(other.option_)); }
Option Option::excludes(Option other) const { return Option(option_->excludes(other.option_)); }

bool Option::is_given() const { return option_ != nullptr && option_->count() > 0; }

void exclude_each_other(const std::vector<Option>& options) {
  for (auto option = options.begin(); option != options.end(); ++option) {
    for (auto other = options.begin(); other != option; ++other) option->excludes(*other);
  }
}

template <typename T>
Option Command::option(const std::string& names, T& variable, const std::string& help) {
  CLI::Option* option = app_.add_option(names, variable, help);
  using Number = typename NumberIn<T>::Type;
  // Without a description, which the help would repeat; range() puts a stricter one into its place.
  if constexpr (std::is_unsigned_v<Number>) {
    option->check(check_whole(0, std::numeric_limits<Number>::max()), "", kNumberCheck);
  } else if constexpr (std::is_floating_point_v<Number>) {
    option->check(check_real(-kInfinity, kInfinity, "a number"), "", kNumberCheck);
  }
  return Option(option);
}

Option Command::flag(const std::string& names, bool& variable, const std::string& help) {
  return Option(app_.add_flag(names, variable, help));
}

void Command::footer(const std::string& text) { app_.footer(text); }

CommandLine::CommandLine(const Program& program) : app_(std::make_unique<CLI::App>(program.summary, program.name)) {
  app_->set_version_flag("--version", program.name + " " + program.version);
  app_->footer(program.footer);
  app_->require_subcommand(0, 1);  // parse() reports that there is none, so that a misspelt one is named instead
}

CommandLine::~CommandLine() = default;

void CommandLine::add_command(const std::string& name, const std::string& summary, Declare declare) {
  CLI::App* app = app_->add_subcommand(name, summary);
  Command cli(*app);
  app->callback([this, action = declare(cli)] { chosen_ = action; });
}

Action CommandLine::parse(int argc, char** argv) {
  const auto refuse = [](const std::string& message) { throw Error(ErrorKind::kInvalidArgument, message); };
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream err;
    const bool is_help_or_version = app_->exit(error, out, err) == kSuccess;
    if (!is_help_or_version) {
      refuse(fmt::format("{} (see {} --help, or {} COMMAND --help)", error.what(), app_->get_name(), app_->get_name()));
    }
    return [text = out.str()] {
      print(text);
      return kSuccess;
    };
  }
  if (!chosen_) refuse(fmt::format("which command? (see {} --help)", app_->get_name()));
  return chosen_;
}

template Option Command::option(const std::string&, std::string&, const std::string&);
template Option Command::option(const std::string&, std::optional<std::string>&, const std::string&);
template Option Command::option(const std::string&, std::vector<std::string>&, const std::string&);
template Option Command::option(const std::string&, unsigned&, const std::string&);
template Option Command::option(const std::string&, std::vector<unsigned>&, const std::string&);
template Option Command::option(const std::string&, std::size_t&, const std::string&);
template Option Command::option(const std::string&, std::optional<std::size_t>&, const std::string&);
template Option Command::option(const std::string&, std::vector<std::size_t>&, const std::string&);
template Option Command::option(const std::string&, float&, const std::string&);
template Option Command::option(const std::string&, double&, const std::string&);
template Option Command::option(const std::string&, std::optional<double>&, const std::string&);

}  // namespace tern::tools
