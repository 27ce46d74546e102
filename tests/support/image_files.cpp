#include "support/image_files.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include "util/random.h"

namespace trainyard {

// Writing well-formed input fails only if memory runs out; libpng and libjpeg then end the test program themselves.
std::string png_file(const Image& image, const PngFormat& format) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp self, png_bytep data, std::size_t size) {
        static_cast<std::string*>(png_get_io_ptr(self))->append(reinterpret_cast<char*>(data), size);
      },
      [](png_structp) {});
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height),
               format.bit_depth, format.color_type, format.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> palette;
  if (format.color_type == PNG_COLOR_TYPE_PALETTE) {
    for (int i = 0; i < 1 << format.bit_depth; ++i) {
      palette.push_back({static_cast<png_byte>(i), static_cast<png_byte>(2 * i), static_cast<png_byte>(255 - i)});
    }
    png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  }
  png_write_info(png, info);
  if (format.bit_depth < 8) png_set_packing(png);
  const int passes = png_set_interlace_handling(png);
  const std::size_t row_size = image.width * image.channels;
  for (int pass = 0; pass < passes; ++pass) {
    for (std::size_t y = 0; y < image.height; ++y) {
      std::vector<png_byte> row;
      for (std::size_t i = 0; i < row_size; ++i) {
        const auto value = std::to_integer<png_byte>(image.pixels[y * row_size + i]);
        row.push_back(value);
        if (format.bit_depth == 16) row.push_back(static_cast<png_byte>(255 - value));
      }
      png_write_row(png, row.data());
    }
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

std::string jpeg_file(const Image& image, int quality, bool progressive, int across, int down, unsigned restart) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = static_cast<int>(image.channels);
  jpeg.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : image.channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  for (int i = 0; i < jpeg.num_components; ++i) jpeg.comp_info[i].h_samp_factor = jpeg.comp_info[i].v_samp_factor = 1;
  if (image.channels == 3) {
    jpeg.comp_info[0].h_samp_factor = across;
    jpeg.comp_info[0].v_samp_factor = down;
  }
  jpeg_set_quality(&jpeg, quality, TRUE);
  jpeg.restart_interval = restart;
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  const std::size_t row_size = image.width * image.channels;
  for (std::size_t y = 0; y < image.height; ++y) {
    auto* row = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(image.pixels.data() + y * row_size));
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::string file(reinterpret_cast<char*>(bytes), size);
  jpeg_destroy_compress(&jpeg);
  std::free(bytes);
  return file;
}

std::string exif_of(int orientation, bool big_endian) {
  const auto number = [&](int value, int size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> 8 * (big_endian ? size - 1 - i : i) & 0xff);
    return bytes;
  };
  std::string exif = big_endian ? "MM" : "II";
  exif += number(42, 2) + number(8, 4);  // the first directory starts at offset 8
  exif += number(2, 2);                  // entries: tag, type, count, value
  exif += number(0x0100, 2) + number(4, 2) + number(1, 4) + number(10, 4);
  exif += number(0x0112, 2) + number(3, 2) + number(1, 4) + number(orientation, 2) + number(0, 2);
  return exif + number(0, 4);  // no further directory
}

std::string with_exif(const std::string& file, const std::string& exif) {
  const auto big_endian = [](std::size_t value, int size) {
    std::string bytes;
    for (int i = size - 1; i >= 0; --i) bytes += static_cast<char>(value >> 8 * i & 0xff);
    return bytes;
  };
  if (file.starts_with("\x89PNG")) {
    constexpr std::size_t header_end = 8 + 25;  // the signature and IHDR
    const std::string chunk = "eXIf" + exif;
    const auto checksum = crc32(0, reinterpret_cast<const Bytef*>(chunk.data()), static_cast<uInt>(chunk.size()));
    return file.substr(0, header_end) + big_endian(exif.size(), 4) + chunk + big_endian(checksum, 4) +
           file.substr(header_end);
  }
  const std::string segment = std::string("Exif\0\0", 6) + exif;
  return file.substr(0, 2) + "\xff\xe1" + big_endian(segment.size() + 2, 2) + segment + file.substr(2);
}

Image ramp(std::size_t height, std::size_t width, std::size_t channels, unsigned levels) {
  Image image{height, width, channels, {}};
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      for (std::size_t c = 0; c < channels; ++c) {
        image.pixels.push_back(static_cast<std::byte>((3 * x + (2 + c) * y + 40 * c) % levels));
      }
    }
  }
  return image;
}

Image noisy_ramp(std::size_t height, std::size_t width, std::size_t channels) {
  Image image = ramp(height, width, channels);
  RandomStream random(5);
  for (std::byte& value : image.pixels) {
    value = static_cast<std::byte>(std::to_integer<int>(value) / 2 + random.below(90));
  }
  return image;
}

}  // namespace trainyard
