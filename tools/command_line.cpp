#include "tools/command_line.h"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cmath>
#include <optional>
#include <sstream>

#include "tern/error.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {

namespace {

/// CLI11 asks whether a number is too small or too large; this one is neither.
std::string refuse_nan(const std::string& text) {
  double value = 0.0;
  return CLI::detail::lexical_cast(text, value) && std::isnan(value) ? "expected a number, found " + text : "";
}

}  // namespace

Option Option::value_name(const std::string& name) const { return Option(option_->type_name(name)); }
Option Option::show_default() const { return Option(option_->capture_default_str()); }
Option Option::group(const std::string& title) const { return Option(option_->group(title)); }

Option Option::required() const { return Option(option_->required()); }
Option Option::one_of(const std::vector<std::string>& values) const {
  return Option(option_->check(CLI::IsMember(values)));
}
Option Option::whole_range(std::uint64_t least, std::uint64_t most) const {
  return Option(option_->check(CLI::Range(least, most)));
}
Option Option::range(double least, double most) const {
  return Option(option_->check(CLI::Range(least, most))->check(refuse_nan));
}
Option Option::not_negative() const { return Option(option_->check(CLI::NonNegativeNumber)->check(refuse_nan)); }

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
  return Option(app_.add_option(names, variable, help));
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
