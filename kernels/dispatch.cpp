#include "kernels/dispatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "kernels/attention_tables.h"
#include "kernels/cpu_features.h"
#include "kernels/float_tables.h"
#include "kernels/head_tables.h"
#include "kernels/ternary_kernels.h"
#include "src/base/check.h"

namespace tern::kernels {
namespace {

// Best first. A new kernel is a file, a line in CMakeLists.txt and a line here; the tests find it by themselves.
constexpr const TernaryKernel* kTernaryKernels[] = {
#ifdef TERN_HAVE_AVX512VBMI
    &kAddSubAvx512Vbmi,
#endif
#ifdef TERN_HAVE_AVX512
    &kAddSubAvx512,
#endif
#ifdef TERN_HAVE_AVX2
    &kAddSubAvx2,
#endif
#ifdef TERN_HAVE_AMX
    &kDotAmx,
#endif
#ifdef TERN_HAVE_AVX512VBMI
    &kDotAvx512Vbmi,
#endif
#ifdef TERN_HAVE_AVX512VNNI
    &kDotAvx512Vnni,
#endif
#ifdef TERN_HAVE_AVXVNNI
    &kDotAvxVnni,
#endif
#ifdef TERN_HAVE_AVX2
    &kDotAvx2,
#endif
#ifdef TERN_HAVE_NEON
    &kAddSubNeon,
#endif
#ifdef TERN_HAVE_I8MM
    &kDotNeonI8mm,
#endif
#ifdef TERN_HAVE_DOTPROD
    &kDotNeonDotprod,
#endif
    &kReference,
};

constexpr const FloatKernels* kFloatKernels[] = {
#ifdef TERN_HAVE_AVX512
    &kFloatAvx512,
#endif
#ifdef TERN_HAVE_AVX2
    &kFloatAvx2,
#endif
    &kFloatBaseline,
    &kFloatScalar,
};

constexpr const HeadKernels* kHeadKernels[] = {
#ifdef TERN_HAVE_AMX
    &kHeadAmx,
#endif
#ifdef TERN_HAVE_AVX512VNNI
    &kHeadAvx512Vnni,
#endif
#ifdef TERN_HAVE_AVX512
    &kHeadAvx512,
#endif
#ifdef TERN_HAVE_AVXVNNI
    &kHeadAvxVnni,
#endif
#ifdef TERN_HAVE_AVX2
    &kHeadAvx2,
#endif
    &kHeadBaseline,   &kHeadScalar,
};

constexpr const AttentionKernels* kAttentionKernels[] = {
#ifdef TERN_HAVE_AVX512VNNI
    &kAttentionAvx512Vnni,
#endif
#ifdef TERN_HAVE_AVX512
    &kAttentionAvx512,
#endif
#ifdef TERN_HAVE_AVX2
    &kAttentionAvx2,
#endif
    &kAttentionBaseline,   &kAttentionScalar,
};

struct IsaTraits {
  std::string_view name;
  Isa parent;
};

IsaTraits traits_of(Isa isa) noexcept {
  switch (isa) {
    case Isa::kScalar:
      return {"scalar", Isa::kScalar};
    case Isa::kBaseline:
      return {"baseline", Isa::kScalar};
    case Isa::kDotprod:
      return {"dotprod", Isa::kBaseline};
    case Isa::kI8mm:
      return {"i8mm", Isa::kDotprod};
    case Isa::kAvx2:
      return {"avx2", Isa::kBaseline};
    case Isa::kAvxVnni:
      return {"avxvnni", Isa::kAvx2};
    case Isa::kAvx512:
      return {"avx512", Isa::kAvx2};
    case Isa::kAvx512Vnni:
      return {"avx512vnni", Isa::kAvx512};
    case Isa::kAvx512Vbmi:
      return {"avx512vbmi", Isa::kAvx512Vnni};
    case Isa::kAmx:
      return {"amx", Isa::kAvx512Vbmi};
  }
  return {"unknown", Isa::kScalar};
}

/// True when `isa` is `part` or extends it.
bool includes(Isa isa, Isa part) {
  while (isa > part) isa = parent_of(isa);
  return isa == part;
}

template <typename Table>
std::vector<const Table*> runnable(std::span<const Table* const> tables, Isa isa) {
  std::vector<const Table*> found;
  std::ranges::copy_if(tables, std::back_inserter(found),
                       [isa](const Table* table) { return table->isa <= isa && missing_for(table->isa).empty(); });
  return found;
}

/// The best instruction set that the processor has, whatever the environment says.
Isa best_isa() {
  Isa best = Isa::kScalar;
  for (const Isa isa : kAllIsas) {
    if (missing_for(isa).empty()) {
      best = isa;
    }
  }
  return best;
}

std::string_view isa_name(Isa isa) { return to_string(isa); }  // not overloaded, for algorithms

std::string isa_names() {
  std::vector<std::string_view> names;
  std::ranges::transform(kAllIsas, std::back_inserter(names), isa_name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::string_view to_string(Isa isa) noexcept { return traits_of(isa).name; }
Isa parent_of(Isa isa) noexcept { return traits_of(isa).parent; }

std::string_view to_string(Family family) noexcept {
  switch (family) {
    case Family::kReference:
      return "reference";
    case Family::kAddSub:
      return "addsub";
    case Family::kDot:
      return "dot";
  }
  return "unknown";
}

std::span<const TernaryKernel* const> all_ternary_kernels() noexcept { return kTernaryKernels; }
std::span<const FloatKernels* const> all_float_kernels() noexcept { return kFloatKernels; }
std::span<const HeadKernels* const> all_head_kernels() noexcept { return kHeadKernels; }
std::span<const AttentionKernels* const> all_attention_kernels() noexcept { return kAttentionKernels; }

std::string missing_for(Isa isa) {
  std::vector<std::string_view> missing;
  for (const CpuFeature& feature : cpu_features()) {
    if (includes(isa, feature.isa) && !feature.present) {
      missing.push_back(feature.name);
    }
  }
  return fmt::format("{}", fmt::join(missing, ", "));
}

Isa usable_isa() {
  const char* wanted = std::getenv("TERN_ISA");
  if (wanted == nullptr || *wanted == '\0') {
    return best_isa();
  }
  const auto* isa = std::ranges::find(kAllIsas, std::string_view(wanted), isa_name);
  if (isa == std::end(kAllIsas)) {
    fail(ErrorKind::kInvalidArgument, "TERN_ISA=\"{}\" is unknown; expected one of {}", wanted, isa_names());
  }
  if (const std::string missing = missing_for(*isa); !missing.empty()) {
    fail(ErrorKind::kInvalidArgument, "TERN_ISA={} needs {}, which this processor lacks; it can run up to {}", wanted,
         missing, to_string(best_isa()));
  }
  return *isa;
}

std::vector<const TernaryKernel*> runnable_ternary_kernels(Isa isa) { return runnable(all_ternary_kernels(), isa); }
std::vector<const FloatKernels*> runnable_float_kernels(Isa isa) { return runnable(all_float_kernels(), isa); }
std::vector<const HeadKernels*> runnable_head_kernels(Isa isa) { return runnable(all_head_kernels(), isa); }
std::vector<const AttentionKernels*> runnable_attention_kernels(Isa isa) {
  return runnable(all_attention_kernels(), isa);
}

}  // namespace tern::kernels
