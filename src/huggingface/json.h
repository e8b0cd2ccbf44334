#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/arena.h"
#include "src/base/check.h"

namespace tern::huggingface {

/// A JSON value, as it stands in the file. Texts lie in the arena that parse_json() was given.
struct Json {
  enum class Kind : std::uint8_t { kNull, kBool, kInteger, kReal, kText, kArray, kObject };

  Kind kind = Kind::kNull;
  bool flag = false;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text;
  std::string_view key;     // of a member of an object
  std::vector<Json> items;  // elements, or members in the file's order with no key twice

  /// nullptr when this is no object or has no such member. Looks from the front: for objects of few members.
  [[nodiscard]] const Json* find(std::string_view name) const noexcept;
};

/// Parses untrusted text.
///
/// Errors    Error(kBadFile): not JSON, a key twice, or over a limit. The message names `source`.
[[nodiscard]] Json parse_json(std::string_view text, const std::string& source, Arena& arena);

/// A value, or its absence, with the name by which messages call it. A null counts as absent, as it does in Python.
///
/// Every getter: absent -> nullopt; of another type or out of range -> Error(kBadFile) that names file, key, what was
/// expected and what was found.
class Field {
 public:
  /// Both must outlive the field.
  Field(const Json& json, const std::string& source) : json_(&json), source_(&source) {}

  [[nodiscard]] bool exists() const noexcept { return json_ != nullptr; }
  [[nodiscard]] bool is(Json::Kind kind) const noexcept { return exists() && json_->kind == kind; }
  /// A member of this object; absent when this is.
  [[nodiscard]] Field operator[](std::string_view key) const;
  /// Whether a member is there and null, for the few keys where that is not the same as absent.
  [[nodiscard]] bool has_null(std::string_view key) const noexcept;

  [[nodiscard]] std::optional<std::uint64_t> natural(std::uint64_t max) const;
  [[nodiscard]] std::optional<double> number() const;  // finite
  [[nodiscard]] std::optional<bool> flag() const;
  [[nodiscard]] std::optional<std::string_view> text() const;
  /// The elements of an array, or the members of an object; none when absent.
  [[nodiscard]] const std::vector<Json>& elements() const;
  [[nodiscard]] const std::vector<Json>& members() const;
  /// Element or member `i` of elements() or members(), named.
  [[nodiscard]] Field at(std::size_t i) const;

  /// Throws an error about this value.
  [[noreturn]] void refuse(ErrorKind kind, std::string_view expected) const;
  [[nodiscard]] const std::string& source() const noexcept { return *source_; }

 private:
  Field(const Json* json, const std::string& source, std::string name)
      : json_(json), source_(&source), name_(std::move(name)) {}
  [[nodiscard]] std::string member_name(std::string_view key) const;

  const Json* json_;
  const std::string* source_;
  std::string name_;
};

}  // namespace tern::huggingface
