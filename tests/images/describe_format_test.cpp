#include "images/describe_format.h"

#include <gmock/gmock.h>

#include "support/image_files.h"

namespace trainyard {
namespace {

using namespace std::string_view_literals;
using testing::AllOf;
using testing::HasSubstr;
using Kind = FileFormat::Kind;

FileFormat format(std::string_view file) { return format_of(std::as_bytes(std::span(file))); }
std::string described(std::string_view file) { return describe_format(std::as_bytes(std::span(file))); }

TEST(DescribeFormat, KnowsWhatIsRead) {
  EXPECT_EQ(format(jpeg_file(ramp(8, 8, 3))).kind, Kind::read);
  EXPECT_EQ(format(png_file(ramp(8, 8, 3))).kind, Kind::read);
}

TEST(DescribeFormat, NamesFormatsOfImagesThatAreNotRead) {
  const std::pair<std::string_view, const char*> cases[] = {
      {"GIF89a\x01"sv, "GIF"},
      {"RIFF\x10\0\0\0WEBPVP8 "sv, "WebP"},
      {"II*\0\x08\0\0\0"sv, "TIFF"},
      {"MM\0*\0\0\0\x08"sv, "TIFF"},
      {"BM\x36\x10\0\0\0\0\0\0\x36"sv, "BMP"},
      {"\0\0\0\x18"
       "ftypheic\0\0\0\0"sv,
       "HEIC"},
      {"\0\0\0\x1c"
       "ftypavif\0\0\0\0"sv,
       "AVIF"},
      {"\0\0\0\x1c"
       "ftypmif1\0\0\0\0"sv,
       "HEIF"},
      {"\xff\x0a\xfa"sv, "JPEG XL"},
      {"\0\0\0\x0cJXL \r\n\x87\n"sv, "JPEG XL"},
      {"\0\0\0\x0cjP  \r\n\x87\n"sv, "JPEG 2000"},
      {"P6\n10 10\n255\n"sv, "PNM"},
      {"P4 8 8\n"sv, "PNM"},
      {"<?xml version=\"1.0\"?>\n<svg width=\"1\">"sv, "SVG"},
  };
  for (const auto& [file, name] : cases) {
    EXPECT_EQ(format(file).kind, Kind::other_image) << name;
    EXPECT_EQ(format(file).name, name);
    EXPECT_THAT(described(file), AllOf(HasSubstr(name), HasSubstr("not read: convert it to JPEG or PNG")));
  }
}

TEST(DescribeFormat, NamesWhatIsNotAnImage) {
  EXPECT_EQ(described(""), "is empty: fetch it again");
  EXPECT_THAT(described(std::string(4096, '\0')), HasSubstr("zeros"));
  EXPECT_THAT(described("\xef\xbb\xbf\n  <!DOCTYPE html><html>404"), HasSubstr("is HTML"));
  EXPECT_THAT(described("<HTML><body>"), HasSubstr("is HTML"));
  EXPECT_THAT(described("version https://git-lfs.github.com/spec/v1\noid sha256:12\n"), HasSubstr("git lfs pull"));
  EXPECT_THAT(described("\0\x05\x16\x07\0\x02\0\0Mac OS X"sv), HasSubstr("AppleDouble"));
  EXPECT_EQ(described("{\"error\": \"not\x1b found\"}").find('\x1b'), std::string::npos);
  EXPECT_EQ(described("Access denied\n"), "is text, 'Access denied\\n', expected a JPEG or PNG");
  EXPECT_THAT(described("\x01\x02\x03\x04\x05"), HasSubstr("begins with bytes '01 02 03 04', expected a JPEG"));
  EXPECT_EQ(format("BMX is a bicycle").kind, Kind::other);
}

}  // namespace
}  // namespace trainyard
