#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tern {

/// Memory straight from the system, in huge pages where it has them; zeroed, page-aligned, touched by whoever writes
/// it first. For weights: fewer page faults while loading and fewer misses of the address cache while running.
class HugeBuffer {
 public:
  HugeBuffer() = default;
  /// Errors    Error(kInvalidArgument) when the system does not give that much
  explicit HugeBuffer(std::size_t size);
  ~HugeBuffer();
  HugeBuffer(HugeBuffer&& other) noexcept;
  HugeBuffer& operator=(HugeBuffer&& other) noexcept;

  [[nodiscard]] std::span<std::uint8_t> span() noexcept { return {data_, size_}; }
  [[nodiscard]] std::span<const std::uint8_t> span() const noexcept { return {data_, size_}; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace tern
