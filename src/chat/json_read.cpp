#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "src/base/check.h"
#include "src/base/printable.h"
#include "src/chat/json.h"
#include "src/chat/operations.h"

namespace tern::chat {
namespace {

/// Makes values of what nlohmann's parser reports, which itself does not recurse.
class JsonReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonReader(Run& run, std::string_view what, Char origin) : run_(run), what_(what), origin_(origin) {}

  Value take() { return std::move(result_); }

  bool null() override { return add(None{}); }
  bool boolean(bool flag) override { return add(flag); }
  bool number_integer(number_integer_t number) override { return add(std::int64_t{number}); }
  bool number_unsigned(number_unsigned_t number) override {
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      fail("expected integers of at most 64 bits, found {}", number);
    }
    return add(static_cast<std::int64_t>(number));
  }
  bool number_float(number_float_t number, const string_t& spelled) override {
    // What looks like an integer comes here when it is beyond 64 bits.
    if (spelled.find_first_of(".eE") == string_t::npos) {
      fail("expected integers of at most 64 bits, found {}", printable(spelled));
    }
    return add(number);
  }
  bool string(string_t& text) override { return add(run_.text(from_utf8(text, origin_))); }
  bool binary(binary_t& /*bytes*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return open(true); }
  bool start_array(std::size_t /*size*/) override { return open(false); }
  bool key(string_t& text) override {
    open_.back().key = run_.text(from_utf8(text, origin_));
    return true;
  }
  bool end_object() override {
    Value value = run_.dict(std::move(open_.back().entries));
    open_.pop_back();
    return add(std::move(value));
  }
  bool end_array() override {
    Value value = run_.list(std::move(open_.back().items));
    open_.pop_back();
    return add(std::move(value));
  }
  bool parse_error(std::size_t position, const std::string& /*last*/,
                   const nlohmann::json::exception& /*error*/) override {
    fail("expected JSON, found a mistake at byte {}", position);
  }

 private:
  /// A list or dict whose end is still to come.
  struct Open {
    bool is_dict;
    Value key;
    std::vector<Dict::Entry> entries;
    std::vector<Value> items;
  };

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    tern::fail(ErrorKind::kInvalidArgument, "chat: {}: {}", what_, fmt::format(format, std::forward<Args>(args)...));
  }

  bool open(bool is_dict) {
    if (open_.size() >= kMaxValueDepth)
      fail("expected at most {} values within each other, found more", kMaxValueDepth);
    open_.push_back({is_dict, {}, {}, {}});
    return true;
  }

  bool add(Value value) {
    if (open_.empty()) {
      result_ = std::move(value);
    } else if (open_.back().is_dict) {
      put(run_, open_.back().entries, open_.back().key, std::move(value));
    } else {
      open_.back().items.push_back(std::move(value));
    }
    return true;
  }

  Run& run_;
  std::string_view what_;
  Char origin_;
  std::vector<Open> open_;
  Value result_;
};

}  // namespace

Value parse_json(Run& run, std::string_view json, std::string_view what, Char origin) {
  JsonReader reader(run, what, origin);
  nlohmann::json::sax_parse(json, &reader);
  return reader.take();
}

}  // namespace tern::chat
