#include "images/baseline_jpeg.h"

#include "images/huffman.h"

namespace trainyard {
namespace {

bool is_valid(const JHUFF_TBL* table, unsigned largest_symbol) {
  return table != nullptr &&
         HuffmanTable::is_valid(std::span(table->bits).subspan<1>(), table->huffval, largest_symbol);
}

bool has_tables(const jpeg_decompress_struct& jpeg, const jpeg_component_info& component) {
  return table_at(jpeg.quant_tbl_ptrs, component.quant_tbl_no, NUM_QUANT_TBLS) != nullptr &&
         is_valid(table_at(jpeg.dc_huff_tbl_ptrs, component.dc_tbl_no, NUM_HUFF_TBLS), 15) &&
         is_valid(table_at(jpeg.ac_huff_tbl_ptrs, component.ac_tbl_no, NUM_HUFF_TBLS), 255);
}

}  // namespace

bool is_baseline(const jpeg_decompress_struct& jpeg) {
  const bool grey = jpeg.num_components == 1 && jpeg.jpeg_color_space == JCS_GRAYSCALE;
  const bool colour = jpeg.num_components == 3 && jpeg.jpeg_color_space == JCS_YCbCr;
  return (grey || colour) && jpeg.comps_in_scan == jpeg.num_components && jpeg.data_precision == 8 &&
         jpeg.progressive_mode == FALSE && jpeg.arith_code == FALSE && jpeg.Ss == 0 && jpeg.Se == 63 && jpeg.Ah == 0 &&
         jpeg.Al == 0;
}

std::optional<JpegLayout> layout_of(const jpeg_decompress_struct& jpeg) {
  if (!is_baseline(jpeg)) return std::nullopt;
  JpegLayout layout{.stored = {jpeg.image_height, jpeg.image_width},
                    .components = static_cast<std::uint8_t>(jpeg.num_components)};
  for (int i = 0; i < jpeg.num_components; ++i) {
    if (!has_tables(jpeg, jpeg.comp_info[i])) return std::nullopt;
  }
  if (layout.components == 1) return layout;
  const jpeg_component_info& luma = jpeg.comp_info[0];
  if (luma.h_samp_factor > 2 || luma.v_samp_factor > 2) return std::nullopt;
  for (int i = 1; i < 3; ++i) {
    if (jpeg.comp_info[i].h_samp_factor != 1 || jpeg.comp_info[i].v_samp_factor != 1) return std::nullopt;
  }
  layout.across = static_cast<std::uint8_t>(luma.h_samp_factor);
  layout.down = static_cast<std::uint8_t>(luma.v_samp_factor);
  return layout;
}

}  // namespace trainyard
