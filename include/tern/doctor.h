#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tern/model.h"

/// Whether tern computes on this machine, and with a model, what it should.
namespace tern {

enum class Health {
  kGood,
  kRemark,  ///< results are right, but something could be better, or needs a look
  kFault,   ///< results would be wrong, or there would be none
};

/// One thing that was looked at.
struct Finding {
  std::string topic;  ///< "cpu", "kernel dot-avx2", ...
  Health health = Health::kGood;
  std::string text;  ///< one line
};

/// Where the system says what it grants; tests name others.
struct SystemFiles {
  std::filesystem::path cgroup_membership = "/proc/self/cgroup";
  std::filesystem::path cgroup_root = "/sys/fs/cgroup";
  std::filesystem::path huge_pages = "/sys/kernel/mm/transparent_hugepage/enabled";
};

/// Processor, instruction sets, memory, huge pages, and what limits the number of threads.
///
/// Errors    Error: kInvalidArgument (TERN_ISA)
[[nodiscard]] std::vector<Finding> examine_machine(const SystemFiles& files = {});

/// Compares every kernel that can run here with the reference, on random and extreme products.
///
/// `on_progress` gets the share done, 0 to 1.
[[nodiscard]] std::vector<Finding> examine_kernels(const std::function<void(double)>& on_progress = {});

/// What tells a good copy of a model, on a machine that computes rightly.
struct Fingerprint {
  std::uint64_t file = 0;    ///< of the file's bytes, or those of all files of a directory or a split model
  std::uint64_t logits = 0;  ///< of the logits after a fixed sequence of tokens: the same with every kernel, everywhere
};

/// Errors    Error: as Model::open
[[nodiscard]] Fingerprint fingerprint_of(const std::filesystem::path& path, const OpenOptions& options = {});

/// Compares the fingerprint of a model, under every kernel that can run here, with the one that it should have.
[[nodiscard]] std::vector<Finding> examine_fingerprint(const std::filesystem::path& path, const Fingerprint& expected);

/// What a file is, what it would cost here, and what is known to be wrong with such files. Opens the model, and has it
/// predict a few plain English sentences: a file that is read wrongly does not know what comes next.
[[nodiscard]] std::vector<Finding> examine_model(const std::filesystem::path& path, const OpenOptions& options = {});

}  // namespace tern
