#include "src/huggingface/json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "src/base/printable.h"
#include "src/base/text_hash.h"

namespace tern::huggingface {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 28;
constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxValues = std::size_t{1} << 23;  // a vocabulary of 256 000 tokens and its merges take 2^21
constexpr std::size_t kFewMembers = 16;                   // that are compared one by one

/// Builds the tree of what nlohmann's parser reports, which itself does not recurse.
class TreeBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  TreeBuilder(const std::string& source, Arena& arena) : source_(source), arena_(arena) {}

  Json take() { return std::move(root_); }

  bool null() override { return add({}); }
  bool boolean(bool flag) override {
    Json json = of(Json::Kind::kBool);
    json.flag = flag;
    return add(std::move(json));
  }
  bool number_integer(number_integer_t number) override {
    Json json = of(Json::Kind::kInteger);
    json.integer = number;
    return add(std::move(json));
  }
  bool number_unsigned(number_unsigned_t number) override {
    if (number > static_cast<number_unsigned_t>(INT64_MAX)) return number_float(static_cast<double>(number), {});
    return number_integer(static_cast<number_integer_t>(number));
  }
  bool number_float(number_float_t number, const string_t& /*spelled*/) override {
    Json json = of(Json::Kind::kReal);
    json.real = number;
    return add(std::move(json));
  }
  bool string(string_t& text) override {
    Json json = of(Json::Kind::kText);
    json.text = arena_.keep(text);
    return add(std::move(json));
  }
  bool binary(binary_t& /*bytes*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return open(Json::Kind::kObject); }
  bool start_array(std::size_t /*size*/) override { return open(Json::Kind::kArray); }
  bool key(string_t& text) override {
    open_.back().next_key = arena_.keep(text);
    return true;
  }
  bool end_object() override {
    check_keys(open_.back().json.items);
    return close();
  }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string& /*last*/,
                   const nlohmann::json::exception& /*error*/) override {
    fail(ErrorKind::kBadFile, "{}: expected JSON, found a mistake at byte {}", source_, position);
  }

 private:
  /// A value whose end is still to come.
  struct Open {
    Json json;
    std::string_view next_key;
  };

  static Json of(Json::Kind kind) {
    Json json;
    json.kind = kind;
    return json;
  }

  bool open(Json::Kind kind) {
    if (open_.size() >= kMaxDepth) {
      fail(ErrorKind::kBadFile, "{}: expected at most {} values within each other, found more", source_, kMaxDepth);
    }
    open_.push_back({of(kind), {}});
    return true;
  }

  bool close() {
    Json json = std::move(open_.back().json);
    open_.pop_back();
    return add(std::move(json));
  }

  bool add(Json json) {
    if (++n_values_ > kMaxValues) {
      fail(ErrorKind::kBadFile, "{}: expected at most {} values, found more", source_, kMaxValues);
    }
    if (open_.empty()) {
      root_ = std::move(json);
      return true;
    }
    json.key = open_.back().next_key;
    open_.back().json.items.push_back(std::move(json));
    return true;
  }

  void check_keys(const std::vector<Json>& members) const {
    if (members.size() <= kFewMembers) {
      for (std::size_t i = 0; i < members.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          if (members[i].key == members[j].key) refuse_key(members[i].key);
        }
      }
      return;
    }
    std::unordered_set<std::string_view, TextHash> keys;
    keys.reserve(members.size());
    for (const Json& member : members) {
      if (!keys.insert(member.key).second) refuse_key(member.key);
    }
  }

  [[noreturn]] void refuse_key(std::string_view key) const {
    fail(ErrorKind::kBadFile, "{}: duplicate key '{}': expected each key once", source_, printable(key));
  }

  const std::string& source_;
  Arena& arena_;
  std::vector<Open> open_;
  std::size_t n_values_ = 0;
  Json root_;
};

std::string describe(const Json* json) {
  if (json == nullptr) return "none";
  switch (json->kind) {
    case Json::Kind::kNull:
      return "null";
    case Json::Kind::kBool:
      return json->flag ? "true" : "false";
    case Json::Kind::kInteger:
      return std::to_string(json->integer);
    case Json::Kind::kReal:
      return fmt::format("{}", json->real);
    case Json::Kind::kText:
      return fmt::format("'{}'", printable(json->text));
    case Json::Kind::kArray:
      return fmt::format("a list of {}", json->items.size());
    case Json::Kind::kObject:
      return fmt::format("an object of {}", json->items.size());
  }
  return {};
}

const std::vector<Json> kNoItems;

}  // namespace

const Json* Json::find(std::string_view name) const noexcept {
  if (kind != Kind::kObject) return nullptr;
  const auto found = std::find_if(items.begin(), items.end(), [&](const Json& member) { return member.key == name; });
  return found == items.end() ? nullptr : &*found;
}

Json parse_json(std::string_view text, const std::string& source, Arena& arena) {
  if (text.size() > kMaxBytes) {
    fail(ErrorKind::kBadFile, "{}: expected at most {} bytes of JSON, found {}", source, kMaxBytes, text.size());
  }
  TreeBuilder builder(source, arena);
  nlohmann::json::sax_parse(text, &builder);
  return builder.take();
}

Field Field::operator[](std::string_view key) const {
  const std::string name = member_name(key);
  if (json_ == nullptr) return {nullptr, *source_, name};
  if (json_->kind != Json::Kind::kObject) refuse(ErrorKind::kBadFile, "an object");
  const Json* member = json_->find(key);
  return {member == nullptr || member->kind == Json::Kind::kNull ? nullptr : member, *source_, name};
}

bool Field::has_null(std::string_view key) const noexcept {
  const Json* member = json_ == nullptr ? nullptr : json_->find(key);
  return member != nullptr && member->kind == Json::Kind::kNull;
}

std::string Field::member_name(std::string_view key) const {
  return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
}

std::optional<std::uint64_t> Field::natural(std::uint64_t max) const {
  if (json_ == nullptr) return std::nullopt;
  if (json_->kind == Json::Kind::kInteger && json_->integer >= 0) {
    if (const auto value = static_cast<std::uint64_t>(json_->integer); value <= max) return value;
  }
  refuse(ErrorKind::kBadFile, fmt::format("an integer from 0 to {}", max));
}

std::optional<double> Field::number() const {
  if (json_ == nullptr) return std::nullopt;
  if (json_->kind == Json::Kind::kInteger) return static_cast<double>(json_->integer);
  if (json_->kind == Json::Kind::kReal && std::isfinite(json_->real)) return json_->real;
  refuse(ErrorKind::kBadFile, "a finite number");
}

std::optional<bool> Field::flag() const {
  if (json_ == nullptr) return std::nullopt;
  if (json_->kind == Json::Kind::kBool) return json_->flag;
  refuse(ErrorKind::kBadFile, "true or false");
}

std::optional<std::string_view> Field::text() const {
  if (json_ == nullptr) return std::nullopt;
  if (json_->kind == Json::Kind::kText) return json_->text;
  refuse(ErrorKind::kBadFile, "a text");
}

const std::vector<Json>& Field::elements() const {
  if (json_ == nullptr) return kNoItems;
  if (json_->kind == Json::Kind::kArray) return json_->items;
  refuse(ErrorKind::kBadFile, "a list");
}

const std::vector<Json>& Field::members() const {
  if (json_ == nullptr) return kNoItems;
  if (json_->kind == Json::Kind::kObject) return json_->items;
  refuse(ErrorKind::kBadFile, "an object");
}

Field Field::at(std::size_t i) const {
  const Json& item = json_->items[i];
  if (json_->kind == Json::Kind::kArray) return {&item, *source_, fmt::format("{}[{}]", name_, i)};
  return {&item, *source_, member_name(item.key)};
}

void Field::refuse(ErrorKind kind, std::string_view expected) const {
  if (name_.empty()) fail(kind, "{}: expected {}, found {}", *source_, expected, describe(json_));
  fail(kind, "{}: key {}: expected {}, found {}", *source_, printable(name_), expected, describe(json_));
}

}  // namespace tern::huggingface
