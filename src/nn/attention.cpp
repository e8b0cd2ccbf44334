#include "src/nn/attention.h"

#include <algorithm>
#include <vector>

namespace tern::nn {
namespace {

using kernels::AttentionPart;
using kernels::AttentionTile;
using kernels::kAttentionChunk;
using kernels::kAttentionRows;

constexpr std::size_t kMaxTiles = 16;        // of a block: their results stay in L2 beside a chunk
constexpr std::size_t kMinTilesToWiden = 4;  // that make up for converting a chunk to floats once for all of them
constexpr std::size_t kBlocksPerThread = 4;  // so that threads finish at about the same time
constexpr std::size_t kTileStats = 2 * kAttentionRows;  // floats of an AttentionPart besides its values

/// Queries that walk over the chunks of one key-value head together. Query r of a run of tokens is head r % group of
/// token r / group.
struct Block {
  const KvCache* kv;
  std::size_t first_token;     // of the run, in the batch
  std::size_t first_position;  // of that token
  std::size_t kv_head;
  std::size_t row_begin;  // queries of the run
  std::size_t row_end;
};

/// The keys and values of a chunk, and the kernel that reads their type.
struct Chunk {
  std::size_t begin;  // position
  const std::uint8_t* keys;
  const std::uint8_t* values;
  const float* key_scales;
  const float* value_scales;
  void (*attend)(const AttentionTile& tile);
};

/// One call of attention().
class Attention {
 public:
  Attention(const Compute& compute, const AttentionLayer& layer, MatrixView q, MatrixView out, const KvShape& shape)
      : compute_(compute),
        kernels_(*compute.kernels.attention),
        layer_(layer),
        q_(q),
        out_(out),
        head_dim_(shape.head_dim),
        n_kv_heads_(shape.n_kv_heads),
        group_(q.cols / shape.head_dim / shape.n_kv_heads) {}

  void run(std::span<const TokenPlace> places) {
    cut(places);
    // A few queries alone would leave threads idle: their chunks are shared out as well.
    if (blocks_.size() < 2 * compute_.pool.size() && compute_.pool.size() > 1) {
      run_chunks();
    } else {
      run_blocks();
    }
  }

 private:
  void cut(std::span<const TokenPlace> places);
  void run_blocks();
  void run_chunks();

  [[nodiscard]] std::size_t position(const Block& block, std::size_t row) const {
    return block.first_position + row / group_;
  }
  /// The first position that a query sees.
  [[nodiscard]] std::size_t first_seen(const Block& block, std::size_t row) const {
    const std::size_t end = position(block, row) + 1;
    return layer_.window == 0 || end <= layer_.window ? 0 : end - layer_.window;
  }
  /// Chunks [first_chunk, end_chunk) hold what any query of a block sees.
  [[nodiscard]] std::size_t first_chunk(const Block& block) const {
    return first_seen(block, block.row_begin) / kAttentionChunk;
  }
  [[nodiscard]] std::size_t end_chunk(const Block& block) const {
    return position(block, block.row_end - 1) / kAttentionChunk + 1;
  }
  [[nodiscard]] std::size_t n_chunks(const Block& block) const { return end_chunk(block) - first_chunk(block); }

  [[nodiscard]] std::size_t part_size() const { return kTileStats + kAttentionRows * kernels::value_dim(head_dim_); }
  [[nodiscard]] std::size_t tile_scratch() const { return kernels::attention_scratch(head_dim_); }
  static AttentionPart part_at(float* p) { return {.max = p, .sum = p + kAttentionRows, .values = p + kTileStats}; }

  /// A query's place in q or out.  (head_dim)
  [[nodiscard]] float* row_of(MatrixView x, const Block& block, std::size_t row) const {
    return x.row(block.first_token + row / group_) + (block.kv_head * group_ + row % group_) * head_dim_;
  }

  [[nodiscard]] Chunk chunk_of(const Block& block, std::size_t chunk) const;
  [[nodiscard]] Chunk widen(const Block& block, std::size_t chunk, float* scratch) const;
  bool attend(const Block& block, std::size_t row_begin, const Chunk& chunk, AttentionTile tile) const;
  void merge(const Block& block, std::size_t row_begin, std::size_t chunk, const AttentionPart& from,
             const AttentionPart& into) const;
  void copy_row(const AttentionPart& from, std::size_t row, const AttentionPart& to) const;
  void finish(const Block& block, std::size_t row_begin, const AttentionPart& part) const;
  void take_block(const Block& block, float* scratch) const;

  const Compute& compute_;
  const kernels::AttentionKernels& kernels_;
  AttentionLayer layer_;
  MatrixView q_;
  MatrixView out_;
  std::size_t head_dim_;
  std::size_t n_kv_heads_;
  std::size_t group_;  // heads that share a key-value head
  std::vector<Block> blocks_;
};

/// Cuts the batch into runs of consecutive tokens of one text, and these into blocks. How, decides on speed only.
void Attention::cut(std::span<const TokenPlace> places) {
  const std::size_t n_rows = places.size() * group_ * n_kv_heads_;
  const std::size_t fair_share = n_rows / (kBlocksPerThread * compute_.pool.size());
  const std::size_t block_rows =
      std::clamp(fair_share / kAttentionRows * kAttentionRows, kAttentionRows, kMaxTiles * kAttentionRows);
  for (std::size_t begin = 0, end = 0; begin < places.size(); begin = end) {
    const TokenPlace& first = places[begin];
    for (end = begin + 1; end < places.size(); ++end) {
      if (places[end].kv != first.kv || places[end].position != first.position + (end - begin)) break;
    }
    const std::size_t run_rows = (end - begin) * group_;
    for (std::size_t head = 0; head < n_kv_heads_; ++head) {
      for (std::size_t row = 0; row < run_rows; row += block_rows) {
        blocks_.push_back({first.kv, begin, first.position, head, row, std::min(row + block_rows, run_rows)});
      }
    }
  }
}

Chunk Attention::chunk_of(const Block& block, std::size_t chunk) const {
  const KvCache& kv = *block.kv;
  const std::size_t begin = chunk * kAttentionChunk;
  const auto attend = kv.type() == KvType::kF16   ? kernels_.attend_f16
                      : kv.type() == KvType::kF32 ? kernels_.attend_f32
                                                  : kernels_.attend_i8;
  return {begin,
          kv.keys(layer_.index, block.kv_head, begin),
          kv.values(layer_.index, block.kv_head, begin),
          kv.key_scales(layer_.index, block.kv_head, begin),
          kv.value_scales(layer_.index, block.kv_head, begin),
          attend};
}

/// A chunk of halves as floats, exactly; any other as it is.  scratch: 2 * (kAttentionChunk, value_dim)
Chunk Attention::widen(const Block& block, std::size_t chunk, float* scratch) const {
  Chunk result = chunk_of(block, chunk);
  if (block.kv->type() != KvType::kF16) return result;
  const auto convert = [&](const std::uint8_t* from, std::size_t n, float* to) {
    compute_.floats.f16_to_f32(reinterpret_cast<const std::uint16_t*>(from), n, to);
    return reinterpret_cast<const std::uint8_t*>(to);
  };
  const std::size_t n = std::min(position(block, block.row_end - 1) + 1 - result.begin, kAttentionChunk);
  const std::size_t n_in_blocks = (n + kernels::kLanes - 1) / kernels::kLanes * kernels::kLanes;
  const std::size_t n_columns = kernels::value_dim(head_dim_);
  result.keys = convert(result.keys, n_in_blocks * head_dim_, scratch);
  result.values = convert(result.values, n * n_columns, scratch + kAttentionChunk * n_columns);
  result.attend = kernels_.attend_f32;
  return result;
}

/// The tile that begins at a row over one chunk; false when none of its rows sees the chunk. `tile` brings scratch
/// and part.
bool Attention::attend(const Block& block, std::size_t row_begin, const Chunk& chunk, AttentionTile tile) const {
  std::size_t n_visible[kAttentionRows];
  std::size_t n_hidden[kAttentionRows];
  const auto places_before = [&](std::size_t position) {  // of this chunk
    return position <= chunk.begin ? 0 : std::min(position - chunk.begin, kAttentionChunk);
  };
  tile.n_rows = std::min(kAttentionRows, block.row_end - row_begin);
  for (std::size_t r = 0; r < tile.n_rows; ++r) {
    n_visible[r] = places_before(position(block, row_begin + r) + 1);
    n_hidden[r] = places_before(first_seen(block, row_begin + r));
  }
  if (n_visible[tile.n_rows - 1] == 0 || n_hidden[0] == kAttentionChunk) return false;
  for (std::size_t r = 0; r < kAttentionRows; ++r) {
    tile.queries[r] = row_of(q_, block, row_begin + std::min(r, tile.n_rows - 1));
  }
  tile.scale = layer_.scale;
  tile.head_dim = head_dim_;
  tile.n_visible = n_visible;
  tile.n_hidden = n_hidden[tile.n_rows - 1] == 0 ? nullptr : n_hidden;
  tile.keys = chunk.keys;
  tile.values = chunk.values;
  tile.key_scales = chunk.key_scales;
  tile.value_scales = chunk.value_scales;
  chunk.attend(tile);
  return true;
}

/// Adds a chunk's part to that of the chunks before, for the rows that see the chunk: their first is taken over as it
/// is, others are merged.
void Attention::merge(const Block& block, std::size_t row_begin, std::size_t chunk, const AttentionPart& from,
                      const AttentionPart& into) const {
  const std::size_t row_end = std::min(row_begin + kAttentionRows, block.row_end);
  for (std::size_t row = row_begin; row < row_end; ++row) {
    const std::size_t first = first_seen(block, row) / kAttentionChunk;
    if (chunk < first || chunk > position(block, row) / kAttentionChunk) continue;
    if (chunk == first) {
      copy_row(from, row - row_begin, into);
    } else {
      kernels_.merge(from, row - row_begin, head_dim_, into);
    }
  }
}

void Attention::copy_row(const AttentionPart& from, std::size_t row, const AttentionPart& to) const {
  const std::size_t n_columns = kernels::value_dim(head_dim_);
  to.max[row] = from.max[row];
  to.sum[row] = from.sum[row];
  std::copy_n(from.values + row * n_columns, n_columns, to.values + row * n_columns);
}

void Attention::finish(const Block& block, std::size_t row_begin, const AttentionPart& part) const {
  const std::size_t row_end = std::min(row_begin + kAttentionRows, block.row_end);
  for (std::size_t row = row_begin; row < row_end; ++row) {
    kernels_.finish(part, row - row_begin, head_dim_, row_of(out_, block, row));
  }
}

/// One block over all chunks: chunk by chunk, so that its tiles find keys and values in the cache.
void Attention::take_block(const Block& block, float* scratch) const {
  float* chunk_part = scratch + tile_scratch();  // of one tile over one chunk
  float* whole = chunk_part + part_size();       // parts of all tiles over the chunks so far
  float* widened = whole + kMaxTiles * part_size();
  const std::size_t n_tiles = (block.row_end - block.row_begin + kAttentionRows - 1) / kAttentionRows;
  const auto first_row = [&](std::size_t tile) { return block.row_begin + tile * kAttentionRows; };
  const std::size_t first = first_chunk(block);
  for (std::size_t c = first; c < end_chunk(block); ++c) {
    const Chunk chunk = n_tiles >= kMinTilesToWiden ? widen(block, c, widened) : chunk_of(block, c);
    for (std::size_t i = 0; i < n_tiles; ++i) {
      const AttentionPart so_far = part_at(whole + i * part_size());
      AttentionTile tile{};
      tile.scratch = scratch;
      tile.part = c == first ? so_far : part_at(chunk_part);
      if (attend(block, first_row(i), chunk, tile) && c > first) merge(block, first_row(i), c, tile.part, so_far);
    }
  }
  for (std::size_t i = 0; i < n_tiles; ++i) finish(block, first_row(i), part_at(whole + i * part_size()));
}

void Attention::run_blocks() {
  const std::size_t size = tile_scratch() + (1 + kMaxTiles) * part_size() +
                           2 * kAttentionChunk * kernels::value_dim(head_dim_);  // floats of a thread
  float* scratch = compute_.work.attention.take(compute_.pool.size() * size);
  compute_.pool.parallel_for(blocks_.size(), 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
    for (std::size_t i = begin; i < end; ++i) take_block(blocks_[i], scratch + thread * size);
  });
}

/// Every block, of one tile then, chunk by chunk on any thread; their parts are merged afterwards. The heads of a chunk
/// follow each other, as they do in memory.
void Attention::run_chunks() {
  struct Unit {
    const Block* block;
    std::size_t chunk;  // of the text
    float* part;
  };
  std::vector<float*> block_parts;  // of every block: (chunks, part_size)
  std::size_t n_units = 0;
  std::size_t all_chunks = 0;  // of the longest text
  for (const Block& block : blocks_) {
    TERN_DCHECK(block.row_end - block.row_begin <= kAttentionRows);
    n_units += n_chunks(block);
    all_chunks = std::max(all_chunks, end_chunk(block));
  }
  float* next_part = compute_.work.attention.take(n_units * part_size() + compute_.pool.size() * tile_scratch());
  float* scratch = next_part + n_units * part_size();
  for (const Block& block : blocks_) {
    block_parts.push_back(next_part);
    next_part += n_chunks(block) * part_size();
  }
  std::vector<Unit> units;
  units.reserve(n_units);
  for (std::size_t chunk = 0; chunk < all_chunks; ++chunk) {
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      const Block& block = blocks_[b];
      if (chunk < first_chunk(block) || chunk >= end_chunk(block)) continue;
      units.push_back({&block, chunk, block_parts[b] + (chunk - first_chunk(block)) * part_size()});
    }
  }
  compute_.pool.parallel_for(units.size(), 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
    AttentionTile tile{};
    tile.scratch = scratch + thread * tile_scratch();
    for (std::size_t i = begin; i < end; ++i) {
      tile.part = part_at(units[i].part);
      attend(*units[i].block, units[i].block->row_begin, chunk_of(*units[i].block, units[i].chunk), tile);
    }
  });
  compute_.pool.parallel_for(blocks_.size(), 1, [&](std::size_t begin, std::size_t end, unsigned) {
    for (std::size_t b = begin; b < end; ++b) {
      const Block& block = blocks_[b];
      const std::size_t first = first_chunk(block);
      const auto part_of = [&](std::size_t chunk) { return part_at(block_parts[b] + (chunk - first) * part_size()); };
      for (std::size_t chunk = first + 1; chunk < end_chunk(block); ++chunk) {
        merge(block, block.row_begin, chunk, part_of(chunk), part_of(first));
      }
      finish(block, block.row_begin, part_of(first));
    }
  });
}

}  // namespace

void attention(const Compute& compute, std::span<const TokenPlace> places, const AttentionLayer& layer, MatrixView q,
               MatrixView out) {
  TERN_DCHECK(places.size() == q.rows && places.size() == out.rows);
  if (places.empty()) return;
  Attention(compute, layer, q, out, places.front().kv->shape()).run(places);
}

}  // namespace tern::nn
