#include "tools/input.h"
#include "tools/line_input.h"

namespace tern::tools {
namespace {

class PlainInput final : public LineInput {
 public:
  InputLine next(std::string_view /*prompt*/) override {
    auto line = lines_.next();
    if (!line) return {};
    return {InputLine::End::kNewline, *std::move(line)};
  }

 private:
  LineReader lines_{"-"};
};

}  // namespace

std::unique_ptr<LineInput> make_plain_input() { return std::make_unique<PlainInput>(); }

}  // namespace tern::tools
