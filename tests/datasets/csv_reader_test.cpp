#include "datasets/csv_reader.h"

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

using Rows = std::vector<std::vector<std::string>>;

Rows rows_of(CsvReader reader) {
  Rows rows;
  while (reader.next()) rows.push_back(reader.fields());
  return rows;
}

// Returns the error for a text, without its location, which is checked.
std::string refused_at(std::size_t line, const std::string& text) {
  std::string error = error_of<RunError>([&] { rows_of({text, "t.csv"}); });
  const std::string place = fmt::format("[t.csv:{}] ", line);
  EXPECT_THAT(error, StartsWith(place));
  return error.substr(std::min(place.size(), error.size()));
}

TEST(CsvReader, ReadsHeaderAndRows) {
  CsvReader reader("a,b\n1,2\n3,4\n", "t.csv");
  EXPECT_THAT(reader.header(), ElementsAre("a", "b"));
  EXPECT_EQ(reader.column("b"), 1u);
  EXPECT_EQ(reader.column("c"), std::nullopt);
  EXPECT_EQ(rows_of(std::move(reader)), (Rows{{"1", "2"}, {"3", "4"}}));
}

TEST(CsvReader, ReadsQuotedFields) {
  EXPECT_EQ(rows_of({"\"a\",b\n\"1,5\",\"say \"\"no\"\"\"\n\"\",\"two\r\nlines\"\n", "t.csv"}),
            (Rows{{"1,5", "say \"no\""}, {"", "two\r\nlines"}}));
}

TEST(CsvReader, KeepsSpacesAndEmptyFields) {
  EXPECT_EQ(rows_of({"a,b\n 1 ,\n,", "t.csv"}), (Rows{{" 1 ", ""}, {"", ""}}));
}

TEST(CsvReader, AcceptsByteOrderMarkCrlfEmptyLinesAndNoLastLineEnd) {
  CsvReader reader("\xef\xbb\xbf\r\na,b\r\n\r\n\n1,2\r\n\r\n3,4", "t.csv");
  EXPECT_THAT(reader.header(), ElementsAre("a", "b"));
  EXPECT_EQ(rows_of(std::move(reader)), (Rows{{"1", "2"}, {"3", "4"}}));
}

TEST(CsvReader, CountsLinesOverQuotedLineEnds) {
  CsvReader reader("a\n\"x\ny\"\n\nz\n", "t.csv");
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.line(), 2u);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.line(), 5u);
  EXPECT_EQ(reader.place(), "t.csv:5");
}

TEST(CsvReader, ReadsFiles) {
  const TempDir dir;
  EXPECT_EQ(rows_of(CsvReader(dir.write("t.csv", "a\n1\n"))), (Rows{{"1"}}));
  EXPECT_THAT(error_of<RunError>([&] { CsvReader(dir / "none.csv"); }), HasSubstr("none.csv"));
}

TEST(CsvReader, RefusesWhatIsNoTable) {
  EXPECT_THAT(refused_at(1, ""), HasSubstr("there is no line"));
  EXPECT_THAT(refused_at(1, "\n\n"), HasSubstr("there is no line"));
  EXPECT_THAT(refused_at(1, "a,,b\n1,2,3\n"), HasSubstr("column 2 has no name"));
  EXPECT_THAT(refused_at(1, "a;b\n1;2\n"), HasSubstr("the header has no comma, 'a;b': separate columns by commas"));
  EXPECT_THAT(refused_at(1, "a\tb\n1\t2\n"), HasSubstr("the header has no comma, 'a\\tb'"));
  EXPECT_THAT(refused_at(2, "\na,b,a\n"), HasSubstr("columns 1 and 3 are both named 'a'"));
  EXPECT_THAT(refused_at(3, "a,b\n1,2\n1,2,3\n"), HasSubstr("the row has 3 fields, the header 2 columns"));
  EXPECT_THAT(refused_at(2, "a,b\n1\n"), HasSubstr("the row has 1 field, "));
}

TEST(CsvReader, RefusesOtherEncodings) {
  EXPECT_THAT(refused_at(3, "a\nb\nM\xfcller\n"), HasSubstr("the byte 0xfc is not UTF-8"));
  EXPECT_THAT(refused_at(2, std::string("a\n\0b\n", 5)), HasSubstr("NUL byte"));
}

TEST(CsvReader, RefusesQuotesThatRfc4180DoesNotAllow) {
  EXPECT_THAT(refused_at(2, "a\n\"open\n1\n"), HasSubstr("a quote is not closed"));
  EXPECT_THAT(refused_at(2, "a\n5\" pipe\n"), HasSubstr("a quote inside of the field '5'"));
  EXPECT_THAT(refused_at(2, "a\n\"5\" pipe\n"), HasSubstr("text follows the quote that ends the field '5'"));
  EXPECT_THAT(refused_at(2, "a\n1\r2\n"), HasSubstr("a carriage return without a line feed"));
}

TEST(CsvReader, RefusesWhatExceedsTheLimits) {
  const std::string longest(CsvReader::max_field_bytes, 'x');
  EXPECT_EQ(rows_of({"a\n" + longest + "\n\"" + longest + "\"\n", "t.csv"}), (Rows{{longest}, {longest}}));
  EXPECT_THAT(refused_at(2, "a\n" + longest + "x\n"), HasSubstr("a field has 1048577 bytes"));
  EXPECT_THAT(refused_at(2, "a\n\"" + longest + "x\"\n"), HasSubstr("a field has more than 1048576 bytes"));
  EXPECT_THAT(refused_at(2, "a\n" + std::string(CsvReader::max_columns, ',') + "\n"),
              HasSubstr("the row has more than 65536 fields"));
}

}  // namespace
}  // namespace trainyard
