#include "images/scaled_jpeg.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "images/baseline_jpeg.h"
#include "images/huffman.h"
#include "images/scaled_dct.h"

namespace trainyard {
namespace {

/// Maps a coefficient's index in the file to its row times 8 plus its column (T.81, figure A.6).
constexpr std::array<std::uint8_t, 64> zigzag = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                                 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                                 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                                 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

/// Number of pixels converted at once, with vector instructions.
constexpr std::size_t piece = 16;

/// A component of the image (luma or one of the two chroma components), and what is decoded of its blocks.
struct Component {
  std::size_t across = 1, down = 1;   ///< blocks of an MCU
  std::size_t width = 0, height = 0;  ///< of a block, in pixels of the shrunk image
  const HuffmanTable* dc = nullptr;
  const HuffmanTable* ac = nullptr;
  const LeapTable* leaps = nullptr;  ///< for ac
  unsigned wanted = 0;               ///< coefficients from this index on are not used
  // For each coefficient in file order: its factor, and its index in a block of height rows; unused ones have the index
  // after the last.
  std::array<float, 64> factors{};
  std::array<std::uint8_t, 64> places{};
  InverseDct inverse_dct = nullptr;
  std::int64_t prediction = 0;  ///< DC coefficient of the last block
  std::vector<float> values;    ///< of one row of MCUs, only those that overlap the wanted part; centred at 0
};

struct Block {
  std::array<float, 65> coefficients;
  unsigned last;  ///< index in file order of the last nonzero coefficient
};

/// Decodes a block: its DC coefficient is stored as the component's prediction, and its nonzero AC coefficients below
/// index `wanted` are stored in `block`. Returns false if it is damaged.
bool take_block(BitReader& reader, Component& component, unsigned wanted, Block& block) {
  // The reader is refilled after each table lookup, while the processor waits for its result.
  reader.refill();
  const HuffmanTable::Code first = component.dc->code(reader);
  if (!first.valid()) return false;
  component.prediction += reader.number(first.length(), first.size());
  reader.drop(first.bits());
  block.last = 0;

  unsigned k = 1;
  while (k < wanted) {
    const HuffmanTable::Code code = component.ac->code(reader);
    reader.refill();
    if (!code.valid()) return false;
    k += code.step();
    if (code.size() != 0) {
      if (k > 64) return false;
      const int number = reader.number(code.length(), code.size());
      block.coefficients[component.places[k - 1]] = static_cast<float>(number) * component.factors[k - 1];
      block.last = k - 1;
    }
    reader.drop(code.bits());
  }
  while (k < 64) {
    const LeapTable::Leap leap = component.leaps->leap(reader);
    reader.refill();
    const unsigned behind = k + leap.step();
    if (behind < 64) [[likely]] {
      reader.drop(leap.bits());
      k = behind;
    } else if (behind == 64 || behind - HuffmanTable::block_end < 64) {
      reader.drop(leap.bits());
      return true;
    } else {
      // Either the code is a long one, or the block ends with a coefficient and the leap continues into the next block.
      const HuffmanTable::Code code = component.ac->code(reader);
      if (!code.valid()) return false;
      reader.drop(code.bits());
      k += code.step();
    }
  }
  return k == 64 || k >= HuffmanTable::block_end;
}

std::size_t divide_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

/// The only scan of a file, and the wanted part of it.
class Scan {
 public:
  explicit Scan(const jpeg_decompress_struct& jpeg) : jpeg_(jpeg) {}

  /// Returns false if the file is not supported.
  bool prepare(const Rect& part, std::size_t channels, std::size_t shrink);
  /// Returns false if the file is damaged.
  bool read(std::byte* out);

 private:
  bool add(const jpeg_component_info& info, std::size_t shrink);
  bool add_tables(const jpeg_component_info& info, Component& component);
  bool take_mcu(EntropyBits& bits, bool wanted, std::size_t left);
  void write_row(std::size_t y, std::byte* out) const;

  const jpeg_decompress_struct& jpeg_;
  std::array<std::optional<HuffmanTable>, NUM_HUFF_TBLS> dc_tables_;
  std::array<std::optional<HuffmanTable>, NUM_HUFF_TBLS> ac_tables_;
  std::array<std::optional<LeapTable>, NUM_HUFF_TBLS> leap_tables_;
  std::vector<Component> components_;
  Rect part_;
  std::size_t channels_ = 0;
  std::size_t max_across_ = 1, max_down_ = 1;   ///< maximum blocks per MCU over the components
  std::size_t mcu_height_ = 0, mcu_width_ = 0;  ///< in pixels of the shrunk image
  std::size_t first_mcu_ = 0, mcus_ = 0;        ///< in each row, those that overlap the part
};

bool Scan::add_tables(const jpeg_component_info& info, Component& component) {
  const JHUFF_TBL* const dc = table_at(jpeg_.dc_huff_tbl_ptrs, info.dc_tbl_no, NUM_HUFF_TBLS);
  const JHUFF_TBL* const ac = table_at(jpeg_.ac_huff_tbl_ptrs, info.ac_tbl_no, NUM_HUFF_TBLS);
  const JQUANT_TBL* const steps = table_at(jpeg_.quant_tbl_ptrs, info.quant_tbl_no, NUM_QUANT_TBLS);
  if (dc == nullptr || ac == nullptr || steps == nullptr) return false;
  const auto built = [](std::optional<HuffmanTable>& table, const JHUFF_TBL& from, unsigned largest_symbol) {
    if (!table) table = HuffmanTable::of(std::span(from.bits).subspan<1>(), from.huffval, largest_symbol);
    return table ? &*table : nullptr;
  };
  component.dc = built(dc_tables_.at(static_cast<std::size_t>(info.dc_tbl_no)), *dc, 15);
  component.ac = built(ac_tables_.at(static_cast<std::size_t>(info.ac_tbl_no)), *ac, 255);
  if (component.dc == nullptr || component.ac == nullptr) return false;
  auto& leaps = leap_tables_.at(static_cast<std::size_t>(info.ac_tbl_no));
  if (!leaps) leaps.emplace(*component.ac);
  component.leaps = &*leaps;

  for (unsigned k = 0; k < 64; ++k) {
    const std::size_t v = zigzag[k] / block_side;
    const std::size_t u = zigzag[k] % block_side;
    const bool used = v < component.height && u < component.width;
    component.places[k] =
        static_cast<std::uint8_t>(used ? v * component.width + u : component.height * component.width);
    if (!used) continue;
    component.factors[k] = static_cast<float>(scaled_dct_factor(v, component.height) *
                                              scaled_dct_factor(u, component.width) * steps->quantval[zigzag[k]]);
    component.wanted = k + 1;
  }
  return true;
}

bool Scan::add(const jpeg_component_info& info, std::size_t shrink) {
  Component component;
  if (jpeg_.num_components > 1) {  // otherwise an MCU is one block, whatever the file says
    component.across = static_cast<std::size_t>(info.h_samp_factor);
    component.down = static_cast<std::size_t>(info.v_samp_factor);
  }
  // A chroma block covers more pixels than a luma block: it is shrunk less instead of being upsampled afterwards.
  const auto side = [shrink](std::size_t most, std::size_t blocks) {
    const std::size_t pixels = block_side * most / (blocks * shrink);
    const bool fits = pixels * blocks * shrink == block_side * most && std::has_single_bit(pixels);
    return fits && pixels <= block_side ? pixels : 0;
  };
  component.width = side(max_across_, component.across);
  component.height = side(max_down_, component.down);
  if (component.width == 0 || component.height == 0) return false;
  component.inverse_dct = scaled_inverse_dct(component.height, component.width);
  component.values.resize(mcus_ * mcu_width_ * mcu_height_ + piece);
  if (!add_tables(info, component)) return false;
  components_.push_back(std::move(component));
  return true;
}

bool Scan::prepare(const Rect& part, std::size_t channels, std::size_t shrink) {
  if (!is_baseline(jpeg_)) return false;
  if (jpeg_.num_components > 1) {
    max_across_ = static_cast<std::size_t>(jpeg_.max_h_samp_factor);
    max_down_ = static_cast<std::size_t>(jpeg_.max_v_samp_factor);
  }
  part_ = part;
  channels_ = channels;
  mcu_height_ = block_side * max_down_ / shrink;
  mcu_width_ = block_side * max_across_ / shrink;
  first_mcu_ = static_cast<std::size_t>(part.left) / mcu_width_;
  mcus_ = divide_up(static_cast<std::size_t>(part.right()), mcu_width_) - first_mcu_;
  std::size_t blocks = 0;
  for (int i = 0; i < jpeg_.num_components; ++i) {
    if (!add(jpeg_.comp_info[i], shrink)) return false;
    blocks += components_.back().across * components_.back().down;
  }
  return blocks <= EntropyBits::max_mcu_blocks;
}

bool Scan::take_mcu(EntropyBits& bits, bool wanted, std::size_t left) {
  std::optional<BitReader> given = bits.reader();
  if (!given) return false;
  BitReader reader = *given;
  const std::size_t stride = mcus_ * mcu_width_;
  Block block;
  for (std::size_t c = 0; c < components_.size(); ++c) {
    Component& component = components_[c];
    const bool used = wanted && c < channels_;  // grey is luma only
    for (std::size_t i = 0; i < component.down * component.across; ++i) {
      if (used) std::fill_n(block.coefficients.data(), component.height * component.width, 0.0F);
      if (!take_block(reader, component, used ? component.wanted : 1, block)) return false;
      if (!used) continue;
      block.coefficients[0] = static_cast<float>(component.prediction) * component.factors[0];
      const std::size_t y = i / component.across * component.height;
      const std::size_t x = i % component.across * component.width + left;
      const std::size_t extent = zigzag[block.last] / block_side + zigzag[block.last] % block_side + 1;
      component.inverse_dct(block.coefficients.data(), extent, &component.values[y * stride + x], stride);
    }
  }
  bits.resume_from(reader);
  return true;
}

/// Writes row y of the current row of MCUs.
void Scan::write_row(std::size_t y, std::byte* out) const {
  // `value` already includes 128 and 0.5 for rounding.
  constexpr auto pixel = [](float value) {
    const float positive = value > 0 ? value : 0;
    return static_cast<std::byte>(static_cast<int>(positive < 255 ? positive : 255));
  };
  constexpr std::array<float, piece> no_colour{};
  const bool colour = components_.size() == 3;
  const std::size_t begin = (y * mcus_ - first_mcu_) * mcu_width_ + static_cast<std::size_t>(part_.left);
  for (std::size_t x = 0; x < part_.width; x += piece) {
    const float* const luma = &components_[0].values[begin + x];
    const float* const cb = colour ? &components_[1].values[begin + x] : no_colour.data();
    const float* const cr = colour ? &components_[2].values[begin + x] : no_colour.data();
    // JFIF's conversion.
    std::array<float, piece> shifted;
    std::array<std::array<std::byte, piece>, 3> rgb;
    for (std::size_t i = 0; i < piece; ++i) shifted[i] = luma[i] + 128.5F;
    for (std::size_t i = 0; i < piece; ++i) rgb[0][i] = pixel(shifted[i] + 1.402F * cr[i]);
    for (std::size_t i = 0; i < piece; ++i) rgb[1][i] = pixel(shifted[i] - 0.344136F * cb[i] - 0.714136F * cr[i]);
    for (std::size_t i = 0; i < piece; ++i) rgb[2][i] = pixel(shifted[i] + 1.772F * cb[i]);
    const std::size_t count = std::min(piece, part_.width - x);
    if (channels_ == 1) {
      out = std::copy_n(rgb[0].data(), count, out);
      continue;
    }
    for (std::size_t i = 0; i < count; ++i, out += 3) {
      out[0] = rgb[0][i];
      out[1] = rgb[1][i];
      out[2] = rgb[2][i];
    }
  }
}

bool Scan::read(std::byte* out) {
  const auto top = static_cast<std::size_t>(part_.top);
  const auto bottom = static_cast<std::size_t>(part_.bottom());
  const std::size_t across = divide_up(jpeg_.image_width, block_side * max_across_);
  const std::size_t first_row = top / mcu_height_;
  const std::size_t rows = divide_up(bottom, mcu_height_);

  EntropyBits bits({jpeg_.src->next_input_byte, jpeg_.src->bytes_in_buffer});
  // Restart intervals that end before the part are skipped without decoding.
  const std::size_t interval = jpeg_.restart_interval;
  std::size_t restarts = 0;
  for (; interval > 0 && (restarts + 1) * interval <= first_row * across; ++restarts) {
    if (!bits.restart(restarts)) return false;
  }
  std::size_t column = restarts * interval % across;
  std::size_t until_restart = interval;
  for (std::size_t row = restarts * interval / across; row < rows; ++row, column = 0) {
    const std::size_t columns = row + 1 < rows ? across : first_mcu_ + mcus_;
    for (; column < columns; ++column) {
      if (interval > 0 && until_restart-- == 0) {
        if (!bits.restart(restarts++)) return false;
        for (Component& component : components_) component.prediction = 0;
        until_restart = interval - 1;
      }
      const bool wanted = row >= first_row && column - first_mcu_ < mcus_;
      if (!take_mcu(bits, wanted, (column - first_mcu_) * mcu_width_)) return false;
    }
    if (row < first_row) continue;
    const std::size_t row_top = row * mcu_height_;
    for (std::size_t y = std::max(row_top, top); y < std::min(row_top + mcu_height_, bottom); ++y) {
      write_row(y - row_top, out + (y - top) * part_.width * channels_);
    }
  }
  return bits.reader().has_value();
}

}  // namespace

bool read_scaled(const jpeg_decompress_struct& jpeg, const Rect& part, std::size_t channels, std::size_t shrink,
                 std::byte* out) {
  Scan scan(jpeg);
  return scan.prepare(part, channels, shrink) && scan.read(out);
}

}  // namespace trainyard
