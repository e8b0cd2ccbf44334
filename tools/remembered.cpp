#include "tools/remembered.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <span>

#include "tools/json.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = 1 << 20;  // of the file
constexpr unsigned kMostThreads = 1024;

fs::path choices_file() {
  const fs::path directory = cache_directory();
  return directory.empty() ? fs::path() : directory / "choices.json";
}

/// Processor and shape: what the speed of a choice depends on.
std::string key_of(const ModelSummary& m) {
  const MachineDescription machine = describe_machine();
  return fmt::format("{}, {}, {} cores: {} {}x{} ffn {} heads {}/{}x{} vocab {}", machine.cpu, machine.instruction_set,
                     machine.cores, m.architecture, m.n_layers, m.dim, m.ffn_dim, m.n_heads, m.n_kv_heads, m.head_dim,
                     m.vocab_size);
}

/// An object from keys to choices; empty when there is no such file.
Json read_choices() {
  std::ifstream file(choices_file(), std::ios::binary);
  std::string text(kMostBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, file.gcount())));
  const Json json = Json::parse(text, nullptr, false);
  return json.is_object() ? json : Json::object();
}

bool runs_here(std::string_view kernel) {
  const std::vector<KernelSummary> kernels = all_kernels();
  const auto found = std::ranges::find(kernels, kernel, &KernelSummary::name);
  return found != kernels.end() && found->missing.empty();
}

/// "NAME" or "DECODE+PROMPT", of kernels that can run.
bool is_usable(std::string_view request) {
  const std::size_t plus = request.find('+');
  if (plus == std::string_view::npos) return runs_here(request);
  return runs_here(request.substr(0, plus)) && runs_here(request.substr(plus + 1));
}

}  // namespace

bool remembers_any_choice() {
  std::error_code ignored;
  const fs::path file = choices_file();
  return !file.empty() && fs::is_regular_file(file, ignored);
}

std::optional<RememberedChoice> remembered_choice(const ModelSummary& model) {
  const Json choices = read_choices();
  const auto found = choices.find(key_of(model));
  if (found == choices.end() || !found->is_object()) return std::nullopt;
  const Json kernel = found->value("kernel", Json());
  const Json threads = found->value("threads", Json());
  if (!kernel.is_string() || !threads.is_number_unsigned()) return std::nullopt;
  const auto n_threads = threads.get<std::uint64_t>();
  if (n_threads == 0 || n_threads > kMostThreads || !is_usable(kernel.get<std::string>())) return std::nullopt;
  return RememberedChoice{kernel.get<std::string>(), static_cast<unsigned>(n_threads)};
}

std::string remember_choice(const ModelSummary& model, const std::optional<RememberedChoice>& choice) {
  const fs::path path = choices_file();
  if (path.empty()) {
    throw Error(ErrorKind::kInvalidArgument, "nowhere to remember: TERN_CACHE_DIR is empty, or there is no HOME");
  }
  Json choices = read_choices();
  if (choice) {
    choices[key_of(model)] = {{"kernel", choice->kernel}, {"threads", choice->threads}};
  } else {
    choices.erase(key_of(model));
  }
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);
  const std::string text = choices.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  OutputFile file(path.string());
  file.write(std::as_bytes(std::span(text)));
  file.commit();
  return path.string();
}

}  // namespace tern::tools
