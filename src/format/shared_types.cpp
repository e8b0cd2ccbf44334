#include "src/format/shared_types.h"

#include <algorithm>
#include <vector>

#include "src/base/check.h"
#include "src/base/printable.h"

namespace tern::format {
namespace {

/// The bytes from each tensor's offset to where the next one begins, or the file ends.
std::vector<std::uint64_t> places_of(std::span<const Extent> extents, std::uint64_t data_bytes) {
  std::vector<std::uint64_t> begins;
  for (const Extent& extent : extents) begins.push_back(extent.offset);
  std::sort(begins.begin(), begins.end());
  std::vector<std::uint64_t> places;
  for (const Extent& extent : extents) {
    const auto next = std::upper_bound(begins.begin(), begins.end(), extent.offset);
    const std::uint64_t end = next == begins.end() ? std::max(data_bytes, extent.offset) : *next;
    places.push_back(end - extent.offset);
  }
  return places;
}

}  // namespace

void resolve_shared_types(std::span<Extent> extents, std::uint64_t data_bytes, Gguf& gguf) {
  const auto shared = std::find_if(extents.begin(), extents.end(), [](const Extent& e) { return e.other.has_value(); });
  if (shared == extents.end()) return;
  const TensorInfo& example = gguf.tensors[static_cast<std::size_t>(shared - extents.begin())];
  const std::uint32_t type = example.type;
  const std::vector<std::uint64_t> places = places_of(extents, data_bytes);
  for (const Extent& e : extents) {  // a file that is cut off fits no type: that is for the caller to say
    const std::uint64_t least = e.other ? std::min(e.bytes, e.other->bytes) : e.bytes;
    if (e.offset > data_bytes || data_bytes - e.offset < least) return;
  }
  bool fits = true;        // the type that the number means today
  bool other_fits = true;  // the other one
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (gguf.tensors[i].type != type) continue;
    if (!extents[i].other) return;  // no tensor of the other type has such a shape
    const auto fills = [&](std::uint64_t bytes) { return bytes <= places[i] && places[i] - bytes < gguf.alignment; };
    fits = fits && fills(extents[i].bytes);
    other_fits = other_fits && fills(extents[i].other->bytes);
  }
  if (fits == other_fits) {
    fail(ErrorKind::kUnsupported,
         "{}: tensor '{}': type {} has two meanings, {}; expected tensors that fill their places in one of them, found "
         "{}",
         gguf.metadata.source(), printable(example.name), type, shared->other->meanings,
         fits ? "that they do in both" : "that they do in neither");
  }
  if (fits) return;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (gguf.tensors[i].type != type) continue;
    extents[i].bytes = extents[i].other->bytes;
    gguf.tensors[i].type = extents[i].other->type;
  }
}

}  // namespace tern::format
