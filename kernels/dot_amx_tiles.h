#pragma once

// Tile registers of AMX, and the products that are kept in them. Included by kernels compiled for AMX-INT8; all names
// are local to the including file (see kernels.h).
//
// A tile register is 16 rows of 64 bytes. `tdpbssd` adds to a tile of sums, (16 tokens, 16 rows of the matrix) int32,
//
//     sums[t][r] += sum over k < 64 of x[t][k] * w[r][k]
//
//     x    signed bytes   row t:      64 columns of token t
//     w    signed bytes   row k / 4:  4 columns of 16 rows of the matrix, one row after the other

#include <cstddef>
#include <cstdint>

namespace tern::kernels {
namespace {
namespace amx {

constexpr std::size_t kTileTokens = 16;
constexpr std::size_t kTileRows = 16;                        // of the matrix
constexpr std::size_t kTileCols = 64;                        // bytes of a token
constexpr std::size_t kLineBytes = 64;                       // one row of a tile register
constexpr std::size_t kTileBytes = kTileTokens * kTileCols;  // 1024

// The compilers' intrinsics take literal register numbers only, and GCC's do not tell the compiler that they read and
// write memory.

/// Lines lie `stride` bytes apart.
template <int kTile>
inline void load(const void* p, std::size_t stride = kLineBytes) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
}

/// The same for what will not be needed again soon: leaves the first cache to others.
template <int kTile>
inline void load_once(const void* p) {
  asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(kLineBytes), "i"(kTile) : "memory");
}

template <int kTile>
inline void store(void* p, std::size_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(kTile) : "memory");
}

template <int kTile>
inline void clear() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}

template <int kSums, int kX, int kW>
inline void multiply_add() {
  asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kX), "i"(kW));
}

constexpr int kRegisters = 8;

/// Lines that each tile register holds: those beyond would only take time, or memory that is not there.
struct TileLines {
  std::uint8_t of[kRegisters];
};

/// Makes the tile registers usable while it lives. They belong to a thread, and while they hold anything, every change
/// of threads has to save their 8 KB.
class TileRegisters {
 public:
  explicit TileRegisters(const TileLines& lines) {
    Config config = {};
    config.palette = 1;
    for (int i = 0; i < kRegisters; ++i) {
      config.line_bytes[i] = kLineBytes;
      config.lines[i] = lines.of[i];
    }
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
  ~TileRegisters() { asm volatile("tilerelease"); }

 private:
  /// Source: Intel SDM, "LDTILECFG"
  struct alignas(64) Config {
    std::uint8_t palette;
    std::uint8_t start_line;
    std::uint8_t reserved[14];
    std::uint16_t line_bytes[16];
    std::uint8_t lines[16];
  };
  static_assert(sizeof(Config) == 64);
};

/// Activations of one or two neighbouring token tiles, see Operand.
struct TokenTiles {
  const std::uint8_t* first;
  std::size_t stride;  // bytes from one token tile to the next
};

/// A block of sums in memory: element (token, row) at first[token * stride + row].
struct SumsAt {
  std::int32_t* first;
  std::size_t stride;

  [[nodiscard]] std::int32_t* tile(std::size_t t, std::size_t r) const {
    return first + t * kTileTokens * stride + r * kTileRows;
  }
};

/// A block of sums in the tile registers: kTokenTiles x kRowTiles tiles.
///
/// Four tiles of sums hide the latency of `tdpbssd`, 52 cycles against 16 to start one.
template <int kTokenTiles, int kRowTiles>
struct SumTiles {
  static constexpr int kTiles = kTokenTiles * kRowTiles;
  static_assert(kTiles == 2 || kTiles == 4);
  static constexpr int kFirstX = 4;
  static constexpr int kFirstW = kFirstX + kTokenTiles;

  static void clear() {
    for_each_tile([](auto tile, std::size_t, std::size_t) { amx::clear<tile.value>(); });
  }
  static void load(SumsAt from) {
    for_each_tile([&](auto tile, std::size_t t, std::size_t r) { load_sums<tile.value>(from, t, r); });
  }
  static void save(SumsAt to) {
    for_each_tile([&](auto tile, std::size_t t, std::size_t r) { save_sums<tile.value>(to, t, r); });
  }
  /// save(), then clear() or load(), tile by tile, so that the first tile is ready for work while the last is being
  /// saved.
  static void save_and_clear(SumsAt to) {
    for_each_tile([&](auto tile, std::size_t t, std::size_t r) {
      save_sums<tile.value>(to, t, r);
      amx::clear<tile.value>();
    });
  }
  static void save_and_load(SumsAt to, SumsAt from) {
    for_each_tile([&](auto tile, std::size_t t, std::size_t r) {
      save_sums<tile.value>(to, t, r);
      load_sums<tile.value>(from, t, r);
    });
  }
  /// Adds the products of 64 columns with two row tiles, kFirstRow and the next. w: 2 tiles, one after the other.
  template <int kFirstRow = 0>
  static void add(TokenTiles x, const std::uint8_t* w) {
    if constexpr (kRowTiles == 4) {
      amx::load<kFirstX>(x.first);  // will be needed with the other rows
    } else {
      amx::load_once<kFirstX>(x.first);
    }
    if constexpr (kTokenTiles == 2) amx::load_once<kFirstX + 1>(x.first + x.stride);
    add_row_tile<kFirstRow>(w);
    add_row_tile<kFirstRow + 1>(w + kTileBytes);
  }

 private:
  template <int kValue>
  struct Number {
    static constexpr int value = kValue;
  };

  template <int kTile>
  static void load_sums(SumsAt from, std::size_t t, std::size_t r) {
    amx::load<kTile>(from.tile(t, r), from.stride * sizeof *from.first);
  }
  template <int kTile>
  static void save_sums(SumsAt to, std::size_t t, std::size_t r) {
    amx::store<kTile>(to.tile(t, r), to.stride * sizeof *to.first);
  }

  template <typename F>
  static void for_each_tile(const F& f) {
    f(Number<0>{}, 0, 0);
    f(Number<1>{}, 1 / kRowTiles, 1 % kRowTiles);
    if constexpr (kTiles == 4) {
      f(Number<2>{}, 2 / kRowTiles, 2 % kRowTiles);
      f(Number<3>{}, 3 / kRowTiles, 3 % kRowTiles);
    }
  }

  template <int kRow>
  static void add_row_tile(const std::uint8_t* w) {
    constexpr int kW = kFirstW + kRow % 2;
    amx::load<kW>(w);
    multiply_add<kRow, kFirstX, kW>();
    if constexpr (kTokenTiles == 2) multiply_add<kRowTiles + kRow, kFirstX + 1, kW>();
  }
};

}  // namespace amx
}  // namespace
}  // namespace tern::kernels
