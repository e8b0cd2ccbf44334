#include "src/huggingface/sentencepiece_model.h"

#include <cmath>

#include "src/base/check.h"
#include "src/format/byte_reader.h"

// A tokenizer.model is a message in Protocol Buffers' wire format: fields, each a varint (number << 3 | wire type) and
// a value. Of its fields these matter here:
//
//   1   piece, once per token, in order of ids:  1 text, 2 score (f32), 3 kind (as GGUF's numbers; 1 when absent)
//   2   trainer:     3 kind of model (1 unigram, 2 BPE), 24 whether spaces end words (0 when absent),
//                    40, 41, 42 ids of unknown, BOS, EOS (0, 1, 2 when absent)
//   3   normalizer:  2 characters and what they become, 3 whether a space is put before the text,
//                    4 whether spaces at the ends and doubled ones go, 5 whether spaces become U+2581
//                    (3, 4 and 5 are 1 when absent)
//
//   varint = 7 bits a byte, lowest first; the top bit says that more follow
//   wire types: 0 varint, 1 eight bytes, 2 varint length and bytes, 5 four bytes
namespace tern::huggingface {
namespace {

/// A field of a message; which of the members counts depends on its wire type.
struct WireField {
  std::uint64_t number = 0;
  std::uint64_t value = 0;           // varint
  float real = 0;                    // four bytes
  std::span<const std::byte> bytes;  // length and bytes

  [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

std::uint64_t read_varint(format::ByteReader& reader) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = reader.number<std::uint8_t>({"varint"});
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  fail(ErrorKind::kBadFile, "{}: byte {}: expected a varint of at most 10 bytes, found more", reader.source(),
       reader.position());
}

WireField read_field(format::ByteReader& reader) {
  const std::uint64_t tag = read_varint(reader);
  WireField field;
  field.number = tag >> 3;
  switch (tag & 7) {
    case 0:
      field.value = read_varint(reader);
      return field;
    case 1:
      static_cast<void>(reader.take(8, {"field of eight bytes"}));
      return field;
    case 2:
      field.bytes = reader.take(read_varint(reader), {"field of a length"});
      return field;
    case 5:
      field.real = reader.number<float>({"field of four bytes"});
      return field;
    default:
      break;
  }
  fail(ErrorKind::kBadFile, "{}: byte {}: not a SentencePiece model: expected a wire type of 0, 1, 2 or 5, found {}",
       reader.source(), reader.position(), tag & 7);
}

/// Calls visit(field) for every field of a message.
template <typename Visit>
void for_each_field(std::span<const std::byte> message, const std::string& source, const Visit& visit) {
  format::ByteReader reader(message, source);
  while (reader.remaining() > 0) visit(read_field(reader));
}

void read_piece(std::span<const std::byte> message, TokenizerDraft& draft) {
  std::string_view text;
  float score = 0;
  std::uint64_t kind = 1;
  for_each_field(message, draft.source(), [&](const WireField& field) {
    if (field.number == 1) text = field.text();
    if (field.number == 2) score = field.real;
    if (field.number == 3) kind = field.value;
  });
  const std::uint64_t id = draft.size();
  if (kind < 1 || kind > 6 || std::isnan(score)) {
    fail(ErrorKind::kBadFile, "{}: token {}: expected a kind from 1 to 6 and a score, found {} and {}", draft.source(),
         id, kind, score);
  }
  draft.put(id, text);
  draft.set_kind(id, static_cast<TokenKind>(kind));
  draft.set_score(id, score);
}

/// -1 means none; such ids are varints of ten bytes.
std::optional<std::uint64_t> id_of(const WireField& field) {
  return static_cast<std::int64_t>(field.value) < 0 ? std::nullopt : std::optional(field.value);
}

/// Refuses an option that would change the tokens and is not as tern has it.
void require(const TokenizerDraft& draft, std::string_view option, std::uint64_t expected, std::uint64_t found) {
  if (found == expected) return;
  fail(ErrorKind::kUnsupported, "{}: {}: expected {}, found {}", draft.source(), option, expected, found);
}

void read_trainer(std::span<const std::byte> message, TokenizerDraft& draft) {
  constexpr std::uint64_t kBpe = 2;
  std::uint64_t kind = 1;
  std::optional<std::uint64_t> eos = 2;
  for_each_field(message, draft.source(), [&](const WireField& field) {
    if (field.number == 3) kind = field.value;
    if (field.number == 24) require(draft, "trainer_spec.treat_whitespace_as_suffix", 0, field.value);
    if (field.number == 40) draft.unknown = id_of(field);
    if (field.number == 41) draft.bos = id_of(field);
    if (field.number == 42) eos = id_of(field);
  });
  if (kind != kBpe) {
    fail(ErrorKind::kUnsupported, "{}: expected a SentencePiece model of kind 2 (BPE), found {}", draft.source(), kind);
  }
  if (eos) draft.ends = {*eos};
}

/// What is done to a text before it is cut.
struct Normalizer {
  std::uint64_t map_bytes = 0;
  std::uint64_t removes_spaces = 1;
  std::uint64_t marks_spaces = 1;
};

void read_normalizer(std::span<const std::byte> message, Normalizer& normalizer, TokenizerDraft& draft) {
  for_each_field(message, draft.source(), [&](const WireField& field) {
    if (field.number == 2) normalizer.map_bytes = field.bytes.size();
    if (field.number == 3) draft.add_space_prefix = field.value != 0;
    if (field.number == 4) normalizer.removes_spaces = field.value;
    if (field.number == 5) normalizer.marks_spaces = field.value;
  });
}

void check_normalizer(const Normalizer& normalizer, const TokenizerDraft& draft) {
  require(draft, "bytes of normalizer_spec.precompiled_charsmap", 0, normalizer.map_bytes);
  require(draft, "normalizer_spec.remove_extra_whitespaces", 0, normalizer.removes_spaces);
  require(draft, "normalizer_spec.escape_whitespaces", 1, normalizer.marks_spaces);
}

}  // namespace

TokenizerDraft read_sentencepiece_model(std::span<const std::byte> file, const std::string& source) {
  TokenizerDraft draft(source);
  draft.kind = "llama";
  draft.add_space_prefix = true;
  draft.unknown = 0;
  draft.bos = 1;
  bool has_trainer = false;
  Normalizer normalizer;
  for_each_field(file, source, [&](const WireField& field) {
    if (field.number == 1) read_piece(field.bytes, draft);
    if (field.number == 2) {
      has_trainer = true;
      read_trainer(field.bytes, draft);
    }
    if (field.number == 3) read_normalizer(field.bytes, normalizer, draft);
  });
  if (draft.size() == 0 || !has_trainer) {
    fail(ErrorKind::kBadFile,
         "{}: not a SentencePiece model: expected tokens and how they were trained, found {} tokens", source,
         draft.size());
  }
  check_normalizer(normalizer, draft);
  return draft;
}

}  // namespace tern::huggingface
