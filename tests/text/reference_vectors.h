#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "tern/tokenizer.h"

/// Ids that other implementations gave, in the folder `tokenizers` of the directory that TERN_SHARED names.
namespace tern::test {

inline std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot open " + file.string());
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void append_utf8(std::string& text, unsigned code_point) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xC0 | code_point >> 6);
    tail(0);
  } else if (code_point < 0x10000) {
    text += static_cast<char>(0xE0 | code_point >> 12);
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0 | code_point >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

/// The JSON string whose opening quote is at line[i]; moves i past the closing one.
inline std::string parse_json_string(const std::string& line, std::size_t& i) {
  std::string text;
  const auto hex = [&] {
    const auto value = static_cast<unsigned>(std::stoul(line.substr(i + 1, 4), nullptr, 16));
    i += 5;
    return value;
  };
  for (++i; line.at(i) != '"';) {
    if (line[i] != '\\') {
      text += line[i++];
      continue;
    }
    const char escaped = line.at(++i);
    if (escaped == 'u') {
      unsigned code_point = hex();
      if (code_point >= 0xD800 && code_point < 0xDC00) {
        ++i;
        code_point = 0x10000 + ((code_point - 0xD800) << 10) + (hex() - 0xDC00);
      }
      append_utf8(text, code_point);
      continue;
    }
    constexpr std::string_view kLetters = "nrtbf";
    constexpr std::string_view kMeanings = "\n\r\t\b\f";
    const std::size_t letter = kLetters.find(escaped);
    text += letter == std::string_view::npos ? escaped : kMeanings[letter];
    ++i;
  }
  ++i;
  return text;
}

struct TokenVector {
  std::string text;
  bool special = false;
  std::vector<Token> ids;
};

/// The program that made the vectors took its input with C's escapes, so a written-out \\n was a newline to it.
inline std::string process_escapes(const std::string& text) {
  constexpr std::string_view kLetters = "nrt\\'\"";
  constexpr std::string_view kMeanings = "\n\r\t\\'\"";
  std::string processed;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t letter = text[i] == '\\' && i + 1 < text.size() ? kLetters.find(text[i + 1]) : std::string::npos;
    processed += letter == std::string::npos ? text[i] : kMeanings[letter];
    if (letter != std::string::npos) ++i;
  }
  return processed;
}

/// A line such as {"text": "ab", "special": false, "ids": [1, 2]}.
inline TokenVector parse_vector(const std::string& line) {
  TokenVector vector;
  std::size_t i = line.find("\"text\": ") + 8;
  vector.text = process_escapes(parse_json_string(line, i));
  vector.special = line.compare(i, 18, ", \"special\": true,") == 0;
  i = line.find('[', i) + 1;
  while (line.at(i) != ']') {
    std::size_t used = 0;
    vector.ids.push_back(std::stoi(line.substr(i), &used));
    i += used;
    if (line.at(i) == ',') ++i;
  }
  return vector;
}

/// Every line of a file of vectors: its text gives its ids, and they give the text.
inline void expect_all_equal(const Tokenizer& tokenizer, const std::filesystem::path& vectors) {
  std::ifstream stream(vectors);
  std::string line;
  int n_lines = 0;
  while (std::getline(stream, line)) {
    const TokenVector expected = parse_vector(line);
    EXPECT_EQ(tokenizer.encode(expected.text, {.parse_special = expected.special}), expected.ids) << line;
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(expected.text)), expected.text) << line;
    ++n_lines;
  }
  EXPECT_GT(n_lines, 200);
}

}  // namespace tern::test
