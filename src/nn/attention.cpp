#include "src/nn/attention.h"

#include <algorithm>
#include <vector>

namespace tern::nn {
namespace {

using kernels::AttentionPart;
using kernels::AttentionTile;
using kernels::kAttentionChunk;
using kernels::kAttentionRows;

constexpr std::size_t kMaxBlockRows = 64;               // their results and queries stay in L2 beside a chunk
constexpr std::size_t kBlocksPerThread = 4;             // so that threads finish at about the same time
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

/// One call of attention().
class Attention {
 public:
  Attention(const Compute& compute, std::size_t layer, float scale, MatrixView q, MatrixView out, const KvShape& shape)
      : compute_(compute),
        kernels_(*compute.kernels.attention),
        layer_(layer),
        scale_(scale),
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
  [[nodiscard]] std::size_t n_chunks(const Block& block) const {
    return position(block, block.row_end - 1) / kAttentionChunk + 1;
  }

  [[nodiscard]] std::size_t queries_size() const { return head_dim_ * kAttentionRows; }  // floats of a tile
  [[nodiscard]] std::size_t part_size() const { return kTileStats + kAttentionRows * kernels::value_dim(head_dim_); }
  static AttentionPart part_at(float* p) { return {.max = p, .sum = p + kAttentionRows, .values = p + kTileStats}; }

  void pack(const Block& block, std::size_t row_begin, float* queries) const;
  bool attend(const Block& block, std::size_t row_begin, std::size_t chunk, AttentionTile tile) const;
  void merge(const Block& block, std::size_t row_begin, std::size_t chunk, const AttentionPart& from,
             const AttentionPart& into) const;
  void finish(const Block& block, std::size_t row_begin, const AttentionPart& part) const;
  void take_block(const Block& block, float* scratch) const;

  const Compute& compute_;
  const kernels::AttentionKernels& kernels_;
  std::size_t layer_;
  float scale_;
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
      std::clamp(fair_share / kAttentionRows * kAttentionRows, kAttentionRows, kMaxBlockRows);
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

/// Queries of the tile that begins at a row, scaled, (head_dim, kAttentionRows).
void Attention::pack(const Block& block, std::size_t row_begin, float* queries) const {
  for (std::size_t r = 0; r < kAttentionRows; ++r) {
    const std::size_t row = row_begin + r;
    if (row >= block.row_end) {
      for (std::size_t d = 0; d < head_dim_; ++d) queries[d * kAttentionRows + r] = 0.0f;
      continue;
    }
    const float* q = q_.row(block.first_token + row / group_) + (block.kv_head * group_ + row % group_) * head_dim_;
    for (std::size_t d = 0; d < head_dim_; ++d) queries[d * kAttentionRows + r] = q[d] * scale_;
  }
}

/// The tile that begins at a row over one chunk; false when none of its rows sees the chunk. `tile` brings queries,
/// weights and part.
bool Attention::attend(const Block& block, std::size_t row_begin, std::size_t chunk, AttentionTile tile) const {
  const std::size_t begin = chunk * kAttentionChunk;
  std::size_t n_visible[kAttentionRows];
  tile.n_rows = std::min(kAttentionRows, block.row_end - row_begin);
  for (std::size_t r = 0; r < tile.n_rows; ++r) {
    const std::size_t end = position(block, row_begin + r) + 1;
    n_visible[r] = end <= begin ? 0 : std::min(end - begin, kAttentionChunk);
  }
  if (n_visible[tile.n_rows - 1] == 0) return false;
  const KvCache& kv = *block.kv;
  tile.head_dim = head_dim_;
  tile.n_visible = n_visible;
  tile.keys = kv.keys(layer_, block.kv_head, begin);
  tile.values = kv.values(layer_, block.kv_head, begin);
  tile.key_scales = kv.key_scales(layer_, block.kv_head, begin);
  tile.value_scales = kv.value_scales(layer_, block.kv_head, begin);
  switch (kv.type()) {
    case KvType::kF16:
      kernels_.attend_f16(tile);
      break;
    case KvType::kF32:
      kernels_.attend_f32(tile);
      break;
    case KvType::kInt8:
      kernels_.attend_i8(tile);
      break;
  }
  return true;
}

/// Merges a chunk's part into that of the chunks before, for the rows that see the chunk.
void Attention::merge(const Block& block, std::size_t row_begin, std::size_t chunk, const AttentionPart& from,
                      const AttentionPart& into) const {
  const std::size_t row_end = std::min(row_begin + kAttentionRows, block.row_end);
  for (std::size_t row = row_begin; row < row_end; ++row) {
    if (position(block, row) >= chunk * kAttentionChunk) kernels_.merge(from, row - row_begin, head_dim_, into);
  }
}

void Attention::finish(const Block& block, std::size_t row_begin, const AttentionPart& part) const {
  const std::size_t row_end = std::min(row_begin + kAttentionRows, block.row_end);
  for (std::size_t row = row_begin; row < row_end; ++row) {
    float* out = out_.row(block.first_token + row / group_) + (block.kv_head * group_ + row % group_) * head_dim_;
    kernels_.finish(part, row - row_begin, head_dim_, out);
  }
}

/// One block over all chunks: chunk by chunk, so that its tiles find keys and values in the cache.
void Attention::take_block(const Block& block, float* scratch) const {
  float* weights = scratch;  // (kAttentionRows, kAttentionChunk)
  float* chunk_part = weights + kAttentionRows * kAttentionChunk;
  float* queries = chunk_part + part_size();                                 // of all tiles
  float* parts = queries + kMaxBlockRows / kAttentionRows * queries_size();  // of all tiles
  const std::size_t n_tiles = (block.row_end - block.row_begin + kAttentionRows - 1) / kAttentionRows;
  const auto row_of = [&](std::size_t tile) { return block.row_begin + tile * kAttentionRows; };
  for (std::size_t i = 0; i < n_tiles; ++i) pack(block, row_of(i), queries + i * queries_size());
  for (std::size_t chunk = 0; chunk < n_chunks(block); ++chunk) {
    for (std::size_t i = 0; i < n_tiles; ++i) {
      const AttentionPart whole = part_at(parts + i * part_size());
      const AttentionPart part = chunk == 0 ? whole : part_at(chunk_part);
      AttentionTile tile{};
      tile.queries = queries + i * queries_size();
      tile.weights = weights;
      tile.part = part;
      if (attend(block, row_of(i), chunk, tile) && chunk > 0) merge(block, row_of(i), chunk, part, whole);
    }
  }
  for (std::size_t i = 0; i < n_tiles; ++i) finish(block, row_of(i), part_at(parts + i * part_size()));
}

void Attention::run_blocks() {
  const std::size_t n_tiles = kMaxBlockRows / kAttentionRows;
  const std::size_t size =
      kAttentionRows * kAttentionChunk + part_size() + n_tiles * (queries_size() + part_size());  // floats a thread
  float* scratch = compute_.work.attention.take(compute_.pool.size() * size);
  compute_.pool.parallel_for(blocks_.size(), 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
    for (std::size_t i = begin; i < end; ++i) take_block(blocks_[i], scratch + thread * size);
  });
}

/// Every block, of one tile then, chunk by chunk on any thread; their parts are merged afterwards.
void Attention::run_chunks() {
  struct Unit {
    const Block* block;
    std::size_t chunk;
  };
  std::vector<Unit> units;
  std::vector<std::size_t> first_unit;  // of every block
  for (const Block& block : blocks_) {
    TERN_DCHECK(block.row_end - block.row_begin <= kAttentionRows);
    first_unit.push_back(units.size());
    for (std::size_t chunk = 0; chunk < n_chunks(block); ++chunk) units.push_back({&block, chunk});
  }
  const std::size_t thread_size = kAttentionRows * kAttentionChunk + queries_size();  // floats
  float* parts = compute_.work.attention.take(units.size() * part_size() + compute_.pool.size() * thread_size);
  float* scratch = parts + units.size() * part_size();
  compute_.pool.parallel_for(units.size(), 1, [&](std::size_t begin, std::size_t end, unsigned thread) {
    AttentionTile tile{};
    tile.weights = scratch + thread * thread_size;
    float* queries = tile.weights + kAttentionRows * kAttentionChunk;
    tile.queries = queries;
    for (std::size_t i = begin; i < end; ++i) {
      const Block& block = *units[i].block;
      if (i == begin || units[i - 1].block != &block) pack(block, block.row_begin, queries);
      tile.part = part_at(parts + i * part_size());
      attend(block, block.row_begin, units[i].chunk, tile);
    }
  });
  compute_.pool.parallel_for(blocks_.size(), 1, [&](std::size_t begin, std::size_t end, unsigned) {
    for (std::size_t b = begin; b < end; ++b) {
      const Block& block = blocks_[b];
      const auto part_of = [&](std::size_t chunk) { return part_at(parts + (first_unit[b] + chunk) * part_size()); };
      for (std::size_t chunk = 1; chunk < n_chunks(block); ++chunk) {
        merge(block, block.row_begin, chunk, part_of(chunk), part_of(0));
      }
      finish(block, block.row_begin, part_of(0));
    }
  });
}

}  // namespace

void attention(const Compute& compute, std::span<const TokenPlace> places, std::size_t layer, float scale, MatrixView q,
               MatrixView out) {
  TERN_DCHECK(places.size() == q.rows && places.size() == out.rows);
  if (places.empty()) return;
  Attention(compute, layer, scale, q, out, places.front().kv->shape()).run(places);
}

}  // namespace tern::nn
