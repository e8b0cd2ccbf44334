#include "src/chat/parser.h"

#include <array>
#include <initializer_list>

#include "src/base/printable.h"
#include "src/chat/expression_parser.h"
#include "src/chat/token_stream.h"

namespace tern::chat {
namespace {

using Ends = std::initializer_list<std::string_view>;

class StatementParser {
 public:
  explicit StatementParser(std::vector<TemplateToken> tokens) : tokens_(std::move(tokens)), expressions_(tokens_) {}

  Statements parse() {
    Statements statements = parse_until({});
    if (!tokens_.is(TokenKind::kEnd)) tokens_.fail_expected("a statement");
    return statements;
  }

 private:
  /// Statements up to a block that begins with one of `ends`, whose word is then the current token.
  Statements parse_until(Ends ends) {
    const TokenStream::Level level(tokens_);
    Statements statements;
    for (;;) {
      const std::size_t line = tokens_.line();
      if (tokens_.is(TokenKind::kEnd)) {
        if (ends.size() != 0) tokens_.fail_expected(fmt::format("'{}'", *(ends.end() - 1)));
        return statements;
      }
      if (tokens_.is(TokenKind::kText)) {
        statements.push_back({line, TextStatement{tokens_.take().text}});
      } else if (tokens_.is(TokenKind::kPrintBegin)) {
        tokens_.take();
        statements.push_back({line, PrintStatement{expressions_.parse_tuple()}});
        tokens_.expect(TokenKind::kPrintEnd, "'}}'");
      } else {
        tokens_.expect(TokenKind::kBlockBegin, "'{%'");
        if (tokens_.is_name(ends)) return statements;
        statements.push_back(parse_block());
      }
    }
  }

  /// The body of a block, up to and with its end.
  Statements parse_body(std::string_view end) {
    tokens_.expect(TokenKind::kBlockEnd, "'%}'");
    Statements body = parse_until({end});
    end_block();
    return body;
  }

  /// Past the word at which a body ended, and its '%}'.
  void end_block() {
    tokens_.take();
    tokens_.expect(TokenKind::kBlockEnd, "'%}'");
  }

  /// One line per statement: its name and how it goes on.
  struct BlockParser {
    std::string_view name;
    void (StatementParser::*parse)(Statement& statement);
  };
  static const std::array<BlockParser, 9> kBlocks;

  Statement parse_block() {
    Statement statement{tokens_.line(), TextStatement{}};
    const std::string word = tokens_.expect_name("the name of a statement");
    for (const BlockParser& block : kBlocks) {
      if (block.name != word) continue;
      (this->*block.parse)(statement);
      return statement;
    }
    fail_at(statement.line, ends_something(word) ? ErrorKind::kBadFile : ErrorKind::kUnsupported,
            fmt::format("expected a statement that tern has, found '{}'", printable(word)));
  }

  static bool ends_something(std::string_view word) {
    return word.starts_with("end") || word == "else" || word == "elif";
  }

  void parse_if(Statement& statement) {
    IfStatement result;
    for (;;) {
      ExpressionPtr test = expressions_.parse_tuple(false);
      tokens_.expect(TokenKind::kBlockEnd, "'%}'");
      result.branches.emplace_back(std::move(test), parse_until({"elif", "else", "endif"}));
      if (!tokens_.skip_name("elif")) break;
    }
    if (tokens_.is_name("else")) {
      end_block();
      result.otherwise = parse_until({"endif"});
    }
    end_block();
    statement.kind = std::move(result);
  }

  void parse_for(Statement& statement) {
    ForStatement result;
    result.target = parse_target();
    if (!tokens_.skip_name("in")) tokens_.fail_expected("'in'");
    result.sequence = expressions_.parse_tuple(false);
    if (tokens_.skip_name("if")) result.condition = expressions_.parse();
    if (tokens_.is_name("recursive")) tokens_.refuse("recursive loops are not supported");
    tokens_.expect(TokenKind::kBlockEnd, "'%}'");
    ++n_loops_;
    result.body = parse_until({"else", "endfor"});
    --n_loops_;
    if (tokens_.is_name("else")) {
      end_block();
      result.otherwise = parse_until({"endfor"});
    }
    end_block();
    statement.kind = std::move(result);
  }

  void parse_set(Statement& statement) {
    Target target = parse_target();
    if (target.names.size() == 1 && !target.is_tuple && tokens_.skip_operator(".")) {
      target.attribute = tokens_.expect_name("the name of an attribute");
    }
    if (tokens_.skip_operator("=")) {
      statement.kind = SetStatement{std::move(target), expressions_.parse_tuple()};
      tokens_.expect(TokenKind::kBlockEnd, "'%}'");
      return;
    }
    if (target.is_tuple) tokens_.fail_expected("'='");
    CaptureStatement capture{std::move(target), {}, {}};
    while (tokens_.skip_operator("|")) capture.filters.push_back(expressions_.parse_filter());
    capture.body = parse_body("endset");
    statement.kind = std::move(capture);
  }

  void parse_filter(Statement& statement) {
    CaptureStatement capture;
    do {
      capture.filters.push_back(expressions_.parse_filter());
    } while (tokens_.skip_operator("|"));
    capture.body = parse_body("endfilter");
    statement.kind = std::move(capture);
  }

  void parse_macro(Statement& statement) {
    MacroStatement macro;
    macro.name = expect_variable();
    tokens_.expect_operator("(");
    for (bool first = true; !tokens_.is_operator(")"); first = false) {
      if (!first) tokens_.expect_operator(",");
      MacroStatement::Parameter parameter{expect_variable(), nullptr};
      if (tokens_.skip_operator("=")) {
        parameter.otherwise = expressions_.parse();
      } else if (!macro.parameters.empty() && macro.parameters.back().otherwise != nullptr) {
        tokens_.fail_expected("'=' after a parameter that follows one with a default");
      }
      macro.parameters.push_back(std::move(parameter));
    }
    tokens_.take();
    const std::size_t outer_loops = std::exchange(n_loops_, 0);
    macro.body = parse_body("endmacro");
    n_loops_ = outer_loops;
    statement.kind = std::move(macro);
  }

  void parse_generation(Statement& statement) { statement.kind = ScopeStatement{parse_body("endgeneration")}; }

  void parse_break(Statement& statement) {
    end_loop_control();
    statement.kind = BreakStatement{};
  }

  void parse_continue(Statement& statement) {
    end_loop_control();
    statement.kind = ContinueStatement{};
  }

  void end_loop_control() {
    if (n_loops_ == 0) tokens_.fail_expected("a loop around 'break' or 'continue'");
    tokens_.expect(TokenKind::kBlockEnd, "'%}'");
  }

  void refuse_raw(Statement& /*statement*/) { tokens_.fail_expected("'%}' after 'raw'"); }

  std::string expect_variable() {
    if (tokens_.is_name({"true", "True", "false", "False", "none", "None", "loop"})) {
      tokens_.fail_expected("a name that can be assigned to");
    }
    return tokens_.expect_name("the name of a variable");
  }

  /// a  or  a, b, c  or  (a, b, c).
  Target parse_target() {
    Target target;
    const bool in_brackets = tokens_.skip_operator("(");
    do {
      if (target.is_tuple && !tokens_.is(TokenKind::kName)) break;
      if (target.is_tuple && tokens_.is_name("in")) break;
      target.names.push_back(expect_variable());
      target.is_tuple = target.is_tuple || tokens_.is_operator(",");
    } while (tokens_.skip_operator(","));
    if (in_brackets) tokens_.expect_operator(")");
    return target;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  std::size_t n_loops_ = 0;  // around the current token, within its macro
};

const std::array<StatementParser::BlockParser, 9> StatementParser::kBlocks = {{
    {"if", &StatementParser::parse_if},
    {"for", &StatementParser::parse_for},
    {"set", &StatementParser::parse_set},
    {"macro", &StatementParser::parse_macro},
    {"filter", &StatementParser::parse_filter},
    {"generation", &StatementParser::parse_generation},
    {"break", &StatementParser::parse_break},
    {"continue", &StatementParser::parse_continue},
    {"raw", &StatementParser::refuse_raw},
}};

}  // namespace

Statements parse(std::string_view source) { return StatementParser(lex(source)).parse(); }

}  // namespace tern::chat
