#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <new>
#include <vector>

namespace tern::kernels::test {

/// An array whose last element is followed by a page that must not be touched. Its start is aligned like an element,
/// no better.
template <typename T>
class GuardedArray {
 public:
  explicit GuardedArray(std::size_t size) : size_(size) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t readable = (size * sizeof(T) + page - 1) / page * page;
    mapped_ = readable + page;  // bytes
    memory_ =
        static_cast<std::byte*>(mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory_ == MAP_FAILED || mprotect(memory_ + readable, page, PROT_NONE) != 0) throw std::bad_alloc();
    data_ = reinterpret_cast<T*>(memory_ + readable - size * sizeof(T));
  }
  explicit GuardedArray(const std::vector<T>& values) : GuardedArray(values.size()) {
    std::memcpy(data_, values.data(), size_ * sizeof(T));
  }
  ~GuardedArray() { munmap(memory_, mapped_); }
  GuardedArray(const GuardedArray&) = delete;
  GuardedArray& operator=(const GuardedArray&) = delete;

  [[nodiscard]] T* data() { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::vector<T> values() const { return {data_, data_ + size_}; }

 private:
  std::byte* memory_ = nullptr;
  std::size_t mapped_ = 0;  // bytes
  T* data_ = nullptr;
  std::size_t size_;
};

}  // namespace tern::kernels::test
