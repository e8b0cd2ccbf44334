#pragma once

#include "src/chat/ast.h"
#include "src/chat/token_stream.h"

namespace tern::chat {

/// Parses expressions, one function per level of precedence, from the loosest to the tightest:
///
///   then if test else otherwise
///   or;  and;  not;  == != < <= > >= in, not in
///   + -;  ~;  * / // %;  **
///   unary + and -, on a value with its suffixes: .name [index] (arguments) |filter, is test
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  [[nodiscard]] ExpressionPtr parse();
  /// One expression, or several with commas between them as a tuple. The iterable of a loop takes no `if`.
  [[nodiscard]] ExpressionPtr parse_tuple(bool with_conditional = true);
  [[nodiscard]] ExpressionPtr parse_without_conditional() { return parse_or(); }
  /// After `|`: a name and arguments.
  [[nodiscard]] FilterSuffix parse_filter();

 private:
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_comparisons();
  ExpressionPtr parse_arithmetic(std::size_t level);
  ExpressionPtr parse_unary(bool with_filters);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_name();
  ExpressionPtr parse_number();
  ExpressionPtr parse_parenthesis();
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_suffixes(ExpressionPtr base, bool with_filters);
  Suffix parse_dot();
  Suffix parse_bracket();
  Suffix parse_test();
  CallArguments parse_arguments();
  CallArguments parse_test_argument();

  template <typename Kind>
  [[nodiscard]] static ExpressionPtr make(std::size_t line, Kind kind) {
    return std::make_unique<const Expression>(Expression{line, std::move(kind)});
  }
  ExpressionPtr parse_logic(bool is_and, ExpressionPtr (ExpressionParser::*parse_operand)());
  [[nodiscard]] static std::string full_name(TokenStream& tokens, std::string_view what);

  TokenStream& tokens_;
};

}  // namespace tern::chat
