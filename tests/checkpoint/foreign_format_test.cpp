#include "checkpoint/foreign_format.h"

#include <cstring>

#include <gmock/gmock.h>

#include "checkpoint/safetensors.h"
#include "checkpoint/test_folder.h"

namespace trainyard {
namespace {

using namespace std::string_literals;
using testing::AllOf;
using testing::HasSubstr;

std::string explanation_of(const std::string& content) {
  return explain_foreign_format(std::as_bytes(std::span(content)), "folder/w.pth").value_or("");
}

struct Foreign {
  std::string content;
  const char* what;
  const char* advice;
};

const std::vector<Foreign> foreign = {
    {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 46830571\n", "Git LFS pointer", "git lfs pull"},
    {"PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0archive/data.pkl"s, "zip archive", "make weights FILE="},
    {"\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.", "a pickle", "safetensors.torch.save_file"},
    {"\x80\x05\x95\x04\0\0\0\0\0\0\0"s, "a pickle", "\"folder/w.safetensors\""},
    {"<!DOCTYPE html>\n<html><body>\x1b[31mSign in</body></html>", "web page: <!DOCTYPE html>\\n<html>", "download"},
    {"\n  <HTML>", "web page", "download"},
    {R"({"error":"Repository not found"})", R"(JSON: {"error":"Repository not found"})", "login"},
    {"\x1f\x8b\x08\0\0\0\0\0"s, "gzip", "unpack"},
    {"BZh91AY&SY", "bzip2", "unpack"},
    {"\xfd"
     "7zXZ\0\0\0"s,
     "xz", "unpack"},
    {"\x28\xb5\x2f\xfd\x04\0\0"s, "zstd", "unpack"},
    {std::string(257, 'n') + "ustar\0"s + std::string(250, '\0'), "tar archive", "unpack"},
    {"\x89HDF\r\n\x1a\n\0\0\0\0"s, "HDF5", "as safetensors"},
    {"GGUF\x03\0\0\0"s, "GGUF", "as safetensors"},
    {"\x93NUMPY\x01\0v\0{'descr'"s, "NumPy", "as safetensors"},
    {"\x08\x07\x12\x07pytorch\x1a\x05", "ONNX", "as safetensors"},
    {std::string(4096, '\0'), "zeros", "again"},
    {"", "empty", "again"},
};

TEST(ForeignFormat, NamesWhatTheFileIsAndWhatToDo) {
  for (const Foreign& one : foreign) {
    EXPECT_THAT(explanation_of(one.content), AllOf(HasSubstr(one.what), HasSubstr(one.advice))) << one.what;
    EXPECT_THAT(explanation_of(one.content), testing::Not(HasSubstr("\x1b")));
  }
}

TEST(ForeignFormat, ExplainsATruncatedFileOrSaysNothing) {
  for (const Foreign& one : foreign) {
    for (std::size_t size = 0; size < one.content.size(); ++size) {
      EXPECT_THAT(explanation_of(one.content.substr(0, size)), testing::AnyOf("", testing::StartsWith("is ")))
          << one.what << ", " << size << " bytes";
    }
  }
}

TEST(ForeignFormat, HeaderLengthsThatLookLikeAMagicAreSafetensors) {
  // 640 is 80 02, the beginning of a pickle; 35615 is the magic number of gzip.
  for (const std::uint64_t length : {640, 35615, 0x04034b50}) {
    std::string content(8, '\0');
    std::memcpy(content.data(), &length, sizeof length);
    EXPECT_EQ(explanation_of(content + "{\"a\":"), "") << length;
  }
}

TEST(ForeignFormat, SafetensorsReaderSaysIt) {
  const std::string pickle = "\x80\x02}q\0."s;
  EXPECT_THAT(message_of<RunError>([&] { safetensors::parse_header(std::as_bytes(std::span(pickle)), "w.bin"); }),
              AllOf(HasSubstr("[safetensors] w.bin is a pickle"), HasSubstr("weights_only=True")));
}

}  // namespace
}  // namespace trainyard
