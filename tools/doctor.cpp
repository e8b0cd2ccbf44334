// tern doctor: checks that this machine, and a model, compute what they should.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "tern/tern.h"
#include "tools/command.h"
#include "tools/json.h"
#include "tools/model_options.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

constexpr const char* kExamples = R"(Examples:
  tern doctor                       # the machine, every kernel, and the bundled model
  tern doctor -m model.gguf         # and what this file is, what it costs here, and what is wrong with it
  tern doctor --quiet || echo "do not trust this machine"
  tern doctor --json | jq '.findings[] | select(.health != "good")'

ok     as it should be
note   results are right, but something could be better, or needs a look
WRONG  results would be wrong, or there would be none: exit status 6

Every kernel that can run here is compared with the reference, bit for bit, on
random and extreme products; the bundled model has to give the logits that it
gives everywhere. A model is also asked to predict plain English, which shows
files that are read the wrong way.
)";

/// Of the bundled model, on every machine.
constexpr Fingerprint kBundledFingerprint = {.file = 0x295a1c313c4cfdad, .logits = 0xe7e5140ea6984fff};

struct DoctorOptions {
  ModelOptions model;
  bool json = false;
  bool quiet = false;
};

struct Section {
  const char* title;
  std::vector<Finding> findings;
};

const char* mark_of(Health health) {
  switch (health) {
    case Health::kGood:
      return "ok";
    case Health::kRemark:
      return "note";
    case Health::kFault:
      break;
  }
  return "WRONG";
}

std::string health_name(Health health) {
  return health == Health::kGood ? "good" : health == Health::kRemark ? "remark" : "fault";
}

std::string to_text(const Section& section) {
  std::string text = fmt::format("{}\n", section.title);
  for (const Finding& finding : section.findings) {
    text += fmt::format("  {:<6} {:<26} {}\n", mark_of(finding.health), finding.topic, one_line(finding.text));
  }
  return text;
}

void add_to_json(const Section& section, Json& findings) {
  for (const Finding& finding : section.findings) {
    findings.push_back({{"section", section.title},
                        {"topic", finding.topic},
                        {"health", health_name(finding.health)},
                        {"text", finding.text}});
  }
}

/// Sections are looked at one after the other, and printed as soon as they are there.
class Examination {
 public:
  explicit Examination(const DoctorOptions& options) : options_(options) {}

  void add(Section section) {
    n_faults_ += std::ranges::count(section.findings, Health::kFault, &Finding::health);
    if (options_.json) {
      add_to_json(section, findings_);
    } else if (!options_.quiet) {
      print(to_text(section));
    }
  }
  int finish() const {
    if (options_.json) {
      print(to_line({{"faults", n_faults_}, {"findings", findings_}}));
    } else if (!options_.quiet) {
      print(n_faults_ == 0 ? std::string("nothing wrong\n") : fmt::format("{} wrong\n", n_faults_));
    }
    return n_faults_ == 0 ? kSuccess : kFaultFound;
  }

 private:
  const DoctorOptions& options_;
  std::ptrdiff_t n_faults_ = 0;
  Json findings_ = Json::array();
};

std::vector<Finding> examine_all_kernels(bool quiet) {
  Progress progress("kernels", quiet);
  std::vector<Finding> findings = examine_kernels([&](double share) { progress.update(share); });
  progress.finish();
  return findings;
}

std::vector<Finding> examine_bundled_model() {
  const std::string path = bundled_model();
  if (path.empty()) return {{"logits", Health::kRemark, "the bundled model is not installed"}};
  return examine_fingerprint(path, kBundledFingerprint);
}

/// What the command line has wrong is no fault of the model.
void check_options(const ModelOptions& options) {
  const std::string path = options.named_path().empty() ? bundled_model() : options.named_path();
  if (path.empty()) return;
  try {
    static_cast<void>(inspect(path, options.open_options()));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInvalidArgument || error.kind() == ErrorKind::kIo) throw;
  }
}

int run(const DoctorOptions& options) {
  check_options(options.model);
  Examination examination(options);
  examination.add({"machine", examine_machine()});
  examination.add({"kernels", examine_all_kernels(options.quiet || options.json)});
  examination.add({"bundled model", examine_bundled_model()});
  if (const std::string path = options.model.named_path(); !path.empty()) {
    examination.add({"model", examine_model(path, options.model.open_options())});
  }
  return examination.finish();
}

}  // namespace

Action declare_doctor(Command& cli) {
  const auto options = std::make_shared<DoctorOptions>();
  cli.footer(kExamples);
  options->model.declare_file(cli, "-m,--model,model");
  options->model.declare_kernels(cli);
  cli.flag("--json", options->json, "Print one JSON object");
  cli.flag("-q,--quiet", options->quiet, "Print nothing: the exit status says it");
  return [options] { return run(*options); };
}

}  // namespace tern::tools
