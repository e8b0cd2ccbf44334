#include "src/engine/session_file.h"

#include <bit>
#include <cstring>
#include <string_view>
#include <utility>

#include "src/base/check.h"
#include "src/base/fnv1a.h"
#include "src/base/mapped_file.h"
#include "src/base/new_file.h"

namespace tern::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "files are written as numbers lie in memory");

constexpr std::string_view kMagic = "TERNTEXT";
constexpr std::uint64_t kVersion = 1;

/// What a file has to agree with.
struct Header {
  std::uint64_t version, fingerprint, kv_type, n_layers, n_kv_heads, head_dim, n_tokens;
};
constexpr std::size_t kHeaderBytes = kMagic.size() + sizeof(Header);

Header header_of(std::uint64_t fingerprint, const TextState& text) {
  const nn::KvShape& shape = text.kv.shape();
  return {.version = kVersion,
          .fingerprint = fingerprint,
          .kv_type = static_cast<std::uint64_t>(text.kv.type()),
          .n_layers = shape.n_layers,
          .n_kv_heads = shape.n_kv_heads,
          .head_dim = shape.head_dim,
          .n_tokens = text.tokens.size()};
}

constexpr std::size_t padded_token_bytes(std::size_t n_tokens) { return (n_tokens * sizeof(Token) + 7) / 8 * 8; }

/// A saved text in the making, with a checksum at its end.
class Writer {
 public:
  explicit Writer(const std::filesystem::path& path) : file_(path) {}

  void add(std::span<const std::byte> bytes) {
    hash_.add(bytes);
    file_.write(bytes);
  }
  void finish() {
    const std::uint64_t checksum = hash_.value();
    file_.write(std::as_bytes(std::span(&checksum, 1)));
    file_.sync();  // or a power cut could leave less than the text it replaces
    file_.commit();
  }

 private:
  NewFile file_;
  WordHash hash_;
};

/// Bytes of the cache of a text.
std::size_t cache_bytes(nn::KvCache& kv, std::size_t n_tokens) {
  std::size_t bytes = 0;
  kv.for_each_run(n_tokens, [&](std::span<std::uint8_t> run) { bytes += run.size(); });
  return bytes;
}

/// As on the command line.
std::string_view kv_name(std::uint64_t type) {
  if (type == static_cast<std::uint64_t>(KvType::kF16)) return "f16";
  if (type == static_cast<std::uint64_t>(KvType::kF32)) return "f32";
  return type == static_cast<std::uint64_t>(KvType::kInt8) ? "int8" : "one that is not known";
}

void check_header(const std::string& name, const Header& found, const Header& expected, std::size_t context) {
  if (found.version != expected.version) {
    fail(ErrorKind::kUnsupported, "{}: version {} of saved texts: expected {}", name, found.version, expected.version);
  }
  if (found.fingerprint != expected.fingerprint || found.n_layers != expected.n_layers ||
      found.n_kv_heads != expected.n_kv_heads || found.head_dim != expected.head_dim) {
    fail(ErrorKind::kUnsupported, "{}: saved with another model (fingerprint {:016x}, expected {:016x})", name,
         found.fingerprint, expected.fingerprint);
  }
  if (found.kv_type != expected.kv_type) {
    fail(ErrorKind::kUnsupported, "{}: saved with another type of KV cache (--kv): expected {}, found {}", name,
         kv_name(expected.kv_type), kv_name(found.kv_type));
  }
  if (found.n_tokens > context) {
    fail(ErrorKind::kInvalidArgument, "{}: its {} tokens do not fit in the context of {} tokens", name, found.n_tokens,
         context);
  }
}

/// The checksum, before anything is made of the contents.
void check_hash(const std::string& name, std::span<const std::byte> file) {
  WordHash hash;
  hash.add(file.first(file.size() - sizeof(std::uint64_t)));
  std::uint64_t expected = 0;
  std::memcpy(&expected, file.last(sizeof expected).data(), sizeof expected);
  if (hash.value() != expected) {
    fail(ErrorKind::kBadFile,
         "{}: its contents have changed since they were saved (checksum {:016x}, expected {:016x})", name, hash.value(),
         expected);
  }
}

std::vector<Token> read_tokens(const std::string& name, std::span<const std::byte> bytes, std::size_t vocab_size) {
  std::vector<Token> tokens(bytes.size() / sizeof(Token));
  if (!tokens.empty()) std::memcpy(tokens.data(), bytes.data(), tokens.size() * sizeof(Token));
  for (const Token token : tokens) {
    if (token < 0 || static_cast<std::size_t>(token) >= vocab_size) {
      fail(ErrorKind::kBadFile, "{}: token {} is not in the vocabulary of {} tokens", name, token, vocab_size);
    }
  }
  return tokens;
}

}  // namespace

void save_text(const std::filesystem::path& path, std::uint64_t fingerprint, TextState& text) {
  Writer file(path);
  const Header header = header_of(fingerprint, text);
  file.add(std::as_bytes(std::span(kMagic)));
  file.add(std::as_bytes(std::span(&header, 1)));
  std::vector<Token> tokens = text.tokens;
  tokens.resize(padded_token_bytes(tokens.size()) / sizeof(Token));
  file.add(std::as_bytes(std::span(tokens)));
  text.kv.for_each_run(text.position(), [&](std::span<std::uint8_t> run) { file.add(std::as_bytes(run)); });
  file.finish();
}

void read_text(std::span<const std::byte> file, const SavedTextSource& source, TextState& text) {
  const std::string& name = source.name;
  if (file.size() < kHeaderBytes + sizeof(std::uint64_t) ||
      std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0) {
    fail(ErrorKind::kBadFile, "{}: expected a text saved by tern, found something else", name);
  }
  Header header{};
  std::memcpy(&header, file.data() + kMagic.size(), sizeof header);
  check_header(name, header, header_of(source.fingerprint, text), text.kv.shape().n_positions);

  const std::size_t tokens_bytes = padded_token_bytes(header.n_tokens);
  const auto check_size = [&](std::uint64_t kv_bytes, bool is_good) {
    if (is_good) return;
    fail(ErrorKind::kBadFile, "{}: expected {} bytes for {} tokens, found {}", name,
         kHeaderBytes + tokens_bytes + kv_bytes + sizeof(std::uint64_t), header.n_tokens, file.size());
  };
  // What attention reads is the least that a file can hold: a short file gets no memory.
  const std::uint64_t least = text.kv.bytes_read(header.n_tokens);
  check_size(least, file.size() >= kHeaderBytes + tokens_bytes + least + sizeof(std::uint64_t));
  TextState loaded{nn::KvCache(text.kv.shape(), text.kv.type()), {}};
  loaded.kv.reserve(0, header.n_tokens);
  const std::size_t exact = cache_bytes(loaded.kv, header.n_tokens);
  check_size(exact, file.size() == kHeaderBytes + tokens_bytes + exact + sizeof(std::uint64_t));
  check_hash(name, file);
  file = file.subspan(kHeaderBytes);
  loaded.tokens = read_tokens(name, file.first(header.n_tokens * sizeof(Token)), source.vocab_size);
  file = file.subspan(tokens_bytes);
  loaded.kv.for_each_run(header.n_tokens, [&](std::span<std::uint8_t> run) {
    std::memcpy(run.data(), file.data(), run.size());
    file = file.subspan(run.size());
  });
  if (!loaded.kv.codes_in_range(header.n_tokens)) {
    fail(ErrorKind::kBadFile, "{}: expected codes of -127 to 127 with finite scales, found others", name);
  }
  text = std::move(loaded);
}

void load_text(const std::filesystem::path& path, std::uint64_t fingerprint, std::size_t vocab_size, TextState& text) {
  const MappedFile mapped(path);
  read_text(mapped.bytes(), {path.string(), fingerprint, vocab_size}, text);
}

}  // namespace tern::engine
