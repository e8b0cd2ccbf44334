#include "src/chat/expression_parser.h"

#include <array>
#include <charconv>
#include <optional>
namespace tern::chat {
namespace {

struct OperatorLevel {
  std::array<std::string_view, 4> words;
  std::array<Operator, 4> operators;
};
constexpr std::array<OperatorLevel, 4> kLevels{{
    {{"+", "-"}, {Operator::kAdd, Operator::kSubtract}},
    {{"~"}, {Operator::kConcatenate}},
    {{"*", "/", "//", "%"}, {Operator::kMultiply, Operator::kDivide, Operator::kFloorDivide, Operator::kModulo}},
    {{"**"}, {Operator::kPower}},
}};

std::optional<Operator> find_operator(const TokenStream& tokens, const OperatorLevel& level) {
  for (std::size_t i = 0; i < level.words.size(); ++i) {
    if (!level.words[i].empty() && tokens.is_operator(level.words[i])) return level.operators[i];
  }
  return std::nullopt;
}

/// Takes a comparison off the tokens, if one comes.
std::optional<Comparison> take_comparison(TokenStream& tokens) {
  constexpr std::array<std::string_view, 6> kWords = {"==", "!=", "<", "<=", ">", ">="};
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    if (tokens.skip_operator(kWords[i])) return static_cast<Comparison>(i);
  }
  if (tokens.skip_name("in")) return Comparison::kIn;
  const bool not_in = tokens.is_name("not") && tokens.next().kind == TokenKind::kName && tokens.next().word == "in";
  if (!not_in) return std::nullopt;
  tokens.take();
  tokens.take();
  return Comparison::kNotIn;
}

Value text_value(Text text) { return std::make_shared<const Text>(std::move(text)); }

}  // namespace

ExpressionPtr ExpressionParser::parse() {
  const TokenStream::Level level(tokens_);
  const std::size_t line = tokens_.line();
  ExpressionPtr value = parse_or();
  if (!tokens_.skip_name("if")) return value;
  Conditional conditional{parse_or(), std::move(value), nullptr};
  if (tokens_.skip_name("else")) conditional.otherwise = parse();
  return make(line, std::move(conditional));
}

ExpressionPtr ExpressionParser::parse_tuple(bool with_conditional) {
  const std::size_t line = tokens_.line();
  ExpressionPtr first = with_conditional ? parse() : parse_or();
  if (!tokens_.is_operator(",")) return first;
  ListDisplay tuple{{}, ListKind::kTuple};
  tuple.items.push_back(std::move(first));
  while (tokens_.skip_operator(",")) {
    const bool ends = tokens_.is(TokenKind::kBlockEnd) || tokens_.is(TokenKind::kPrintEnd) || tokens_.is_operator(")");
    if (ends) break;
    tuple.items.push_back(with_conditional ? parse() : parse_or());
  }
  return make(line, std::move(tuple));
}

ExpressionPtr ExpressionParser::parse_logic(bool is_and, ExpressionPtr (ExpressionParser::*parse_operand)()) {
  const std::string_view word = is_and ? "and" : "or";
  const std::size_t line = tokens_.line();
  ExpressionPtr first = (this->*parse_operand)();
  if (!tokens_.is_name(word)) return first;
  Logic logic{is_and, {}};
  logic.operands.push_back(std::move(first));
  while (tokens_.skip_name(word)) logic.operands.push_back((this->*parse_operand)());
  return make(line, std::move(logic));
}

ExpressionPtr ExpressionParser::parse_or() { return parse_logic(false, &ExpressionParser::parse_and); }
ExpressionPtr ExpressionParser::parse_and() { return parse_logic(true, &ExpressionParser::parse_not); }

ExpressionPtr ExpressionParser::parse_not() {
  if (!tokens_.is_name("not")) return parse_comparisons();
  const TokenStream::Level level(tokens_);
  const std::size_t line = tokens_.take().line;
  return make(line, Unary{Unary::Kind::kNot, parse_not()});
}

ExpressionPtr ExpressionParser::parse_comparisons() {
  const std::size_t line = tokens_.line();
  ExpressionPtr first = parse_arithmetic(0);
  Comparisons comparisons{nullptr, {}};
  while (const auto comparison = take_comparison(tokens_)) {
    comparisons.rest.emplace_back(*comparison, parse_arithmetic(0));
  }
  if (comparisons.rest.empty()) return first;
  comparisons.first = std::move(first);
  return make(line, std::move(comparisons));
}

ExpressionPtr ExpressionParser::parse_arithmetic(std::size_t level) {
  if (level == kLevels.size()) return parse_unary(true);
  const std::size_t line = tokens_.line();
  ExpressionPtr first = parse_arithmetic(level + 1);
  Arithmetic chain{nullptr, {}};
  while (const auto op = find_operator(tokens_, kLevels[level])) {
    tokens_.take();
    chain.rest.emplace_back(*op, parse_arithmetic(level + 1));
  }
  if (chain.rest.empty()) return first;
  chain.first = std::move(first);
  return make(line, std::move(chain));
}

ExpressionPtr ExpressionParser::parse_unary(bool with_filters) {
  const std::size_t line = tokens_.line();
  const bool is_minus = tokens_.is_operator("-");
  if (!is_minus && !tokens_.is_operator("+")) return parse_suffixes(parse_primary(), with_filters);
  const TokenStream::Level level(tokens_);
  tokens_.take();
  // Filters apply to what the sign has made: -1|abs is 1.
  ExpressionPtr value = make(line, Unary{is_minus ? Unary::Kind::kMinus : Unary::Kind::kPlus, parse_unary(false)});
  return parse_suffixes(std::move(value), with_filters);
}

ExpressionPtr ExpressionParser::parse_primary() {
  const TemplateToken& token = tokens_.current();
  switch (token.kind) {
    case TokenKind::kName:
      return parse_name();
    case TokenKind::kInteger:
    case TokenKind::kReal:
      return parse_number();
    case TokenKind::kString: {
      Text text;
      while (tokens_.is(TokenKind::kString)) text += tokens_.take().text;
      return make(token.line, Literal{text_value(std::move(text))});
    }
    default:
      break;
  }
  if (tokens_.is_operator("(")) return parse_parenthesis();
  if (tokens_.is_operator("[")) return parse_list();
  if (tokens_.is_operator("{")) return parse_dict();
  tokens_.fail_expected("an expression");
}

ExpressionPtr ExpressionParser::parse_name() {
  const TemplateToken& token = tokens_.take();
  const std::string& word = token.word;
  if (word == "true" || word == "True") return make(token.line, Literal{true});
  if (word == "false" || word == "False") return make(token.line, Literal{false});
  if (word == "none" || word == "None") return make(token.line, Literal{None{}});
  return make(token.line, Name{word});
}

ExpressionPtr ExpressionParser::parse_number() {
  const TemplateToken& token = tokens_.current();
  const char* const begin = token.word.data();
  const char* const end = begin + token.word.size();
  std::int64_t integer = 0;
  double real = 0.0;
  const bool is_real = token.kind == TokenKind::kReal;
  const std::errc error = is_real ? std::from_chars(begin, end, real).ec : std::from_chars(begin, end, integer).ec;
  if (error != std::errc()) tokens_.refuse(fmt::format("expected a number of 64 bits, found {}", describe(token)));
  tokens_.take();
  return make(token.line, Literal{is_real ? Value(real) : Value(integer)});
}

ExpressionPtr ExpressionParser::parse_parenthesis() {
  const std::size_t line = tokens_.take().line;
  if (tokens_.skip_operator(")")) return make(line, ListDisplay{{}, ListKind::kTuple});
  ExpressionPtr value = parse_tuple();
  tokens_.expect_operator(")");
  return value;
}

ExpressionPtr ExpressionParser::parse_list() {
  ListDisplay list;
  const std::size_t line = tokens_.take().line;
  while (!tokens_.is_operator("]")) {
    if (!list.items.empty()) {
      tokens_.expect_operator(",");
      if (tokens_.is_operator("]")) break;
    }
    list.items.push_back(parse());
  }
  tokens_.take();
  return make(line, std::move(list));
}

ExpressionPtr ExpressionParser::parse_dict() {
  DictDisplay dict;
  const std::size_t line = tokens_.take().line;
  while (!tokens_.is_operator("}")) {
    if (!dict.entries.empty()) {
      tokens_.expect_operator(",");
      if (tokens_.is_operator("}")) break;
    }
    ExpressionPtr key = parse();
    tokens_.expect_operator(":");
    dict.entries.emplace_back(std::move(key), parse());
  }
  tokens_.take();
  return make(line, std::move(dict));
}

ExpressionPtr ExpressionParser::parse_suffixes(ExpressionPtr base, bool with_filters) {
  const std::size_t base_line = base->line;
  std::vector<Suffix> suffixes;
  for (bool seen_filter = false;;) {
    const std::size_t line = tokens_.line();
    if (tokens_.is_operator(".") && !seen_filter) {
      suffixes.push_back(parse_dot());
    } else if (tokens_.is_operator("[") && !seen_filter) {
      suffixes.push_back(parse_bracket());
    } else if (tokens_.is_operator("(")) {
      suffixes.push_back({line, CallSuffix{parse_arguments()}});
    } else if (with_filters && tokens_.skip_operator("|")) {
      suffixes.push_back({line, parse_filter()});
      seen_filter = true;
    } else if (with_filters && tokens_.is_name("is")) {
      suffixes.push_back(parse_test());
      seen_filter = true;
    } else {
      break;
    }
  }
  if (suffixes.empty()) return base;
  return make(base_line, Suffixed{std::move(base), std::move(suffixes)});
}

Suffix ExpressionParser::parse_dot() {
  const std::size_t line = tokens_.take().line;
  if (tokens_.is(TokenKind::kInteger)) return {line, ItemSuffix{parse_number()}};
  std::string name = tokens_.expect_name("a name or an integer after '.'");
  Value key = text_value(from_utf8(name));
  return {line, AttributeSuffix{std::move(name), std::move(key)}};
}

Suffix ExpressionParser::parse_bracket() {
  const std::size_t line = tokens_.take().line;
  ExpressionPtr first;
  if (!tokens_.is_operator(":")) {
    first = parse_tuple();
    if (tokens_.skip_operator("]")) return {line, ItemSuffix{std::move(first)}};
  }
  SliceSuffix slice{std::move(first), nullptr, nullptr};
  tokens_.expect_operator(":");
  if (!tokens_.is_operator(":") && !tokens_.is_operator("]")) slice.stop = parse();
  if (tokens_.skip_operator(":") && !tokens_.is_operator("]")) slice.step = parse();
  tokens_.expect_operator("]");
  return {line, std::move(slice)};
}

/// Names of filters and tests may have dots.
std::string ExpressionParser::full_name(TokenStream& tokens, std::string_view what) {
  std::string name = tokens.expect_name(what);
  while (tokens.skip_operator(".")) name += "." + tokens.expect_name(what);
  return name;
}

FilterSuffix ExpressionParser::parse_filter() {
  std::string name = full_name(tokens_, "the name of a filter");
  const Builtin* filter = find_filter(name);
  FilterSuffix suffix{std::move(name), filter, {}};
  if (tokens_.is_operator("(")) suffix.arguments = parse_arguments();
  return suffix;
}

Suffix ExpressionParser::parse_test() {
  const std::size_t line = tokens_.take().line;
  const bool is_negated = tokens_.skip_name("not");
  std::string name = full_name(tokens_, "the name of a test");
  const Builtin* test = find_test(name);
  return {line, TestSuffix{std::move(name), test, parse_test_argument(), is_negated}};
}

/// In brackets, or one value without them.
CallArguments ExpressionParser::parse_test_argument() {
  if (tokens_.is_operator("(")) return parse_arguments();
  if (tokens_.is_name("is")) tokens_.fail_expected("'and' or 'or' between two tests");
  const bool is_value = tokens_.is(TokenKind::kName) || tokens_.is(TokenKind::kString) ||
                        tokens_.is(TokenKind::kInteger) || tokens_.is(TokenKind::kReal) || tokens_.is_operator("[") ||
                        tokens_.is_operator("{");
  CallArguments arguments;
  if (!is_value || tokens_.is_name({"else", "or", "and"})) return arguments;
  const TokenStream::Level level(tokens_);
  arguments.positional.push_back(parse_suffixes(parse_primary(), false));
  return arguments;
}

CallArguments ExpressionParser::parse_arguments() {
  CallArguments arguments;
  tokens_.expect_operator("(");
  for (bool first = true; !tokens_.is_operator(")"); first = false) {
    if (!first) {
      tokens_.expect_operator(",");
      if (tokens_.is_operator(")")) break;
    }
    if (tokens_.is_operator("*") || tokens_.is_operator("**")) tokens_.refuse("arguments after * are not supported");
    const TemplateToken& next = tokens_.next();
    if (tokens_.is(TokenKind::kName) && next.kind == TokenKind::kOperator && next.word == "=") {
      std::string name = tokens_.take().word;
      tokens_.take();
      arguments.named.emplace_back(std::move(name), parse());
    } else {
      if (!arguments.named.empty()) tokens_.fail_expected("arguments without names before those with names");
      arguments.positional.push_back(parse());
    }
  }
  tokens_.take();
  return arguments;
}

}  // namespace tern::chat
