#include <array>
#include <cmath>
#include <cstring>
#include <set>

#include <gmock/gmock.h>

#include "config/validate.h"
#include "datasets/column_reader.h"
#include "datasets/splits.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/table_files.h"
#include "support/temp_dir.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class Csv : public testing::Test {
 protected:
  DataConfig config(const std::string& flags) const {
    DataConfig config = configured("--data.name csv " + flags).data;
    config.root = dir_.path();
    return config;
  }

  // Returns the error for a train.csv.
  template <typename Expected>
  std::string refused(const std::string& text, const std::string& flags = "--data.csv.target y") const {
    dir_.write("train.csv", text);
    return error_of<Expected>([&] { make_splits(config(flags)); });
  }

  template <typename T>
  static std::vector<T> elements(const Dataset& dataset, const std::string& field, std::size_t index) {
    const std::vector<Field>& fields = dataset.fields();
    const auto place = static_cast<std::size_t>(find_field(fields, field) - fields.data());
    const std::vector<std::byte> bytes = TransformPipeline().read_any_size(dataset, index, 0, 0).at(place).bytes;
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  TempDir dir_;
};

TEST_F(Csv, NumbersAreStandardizedAndCategoriesNumbered) {
  dir_.write("train.csv", "n,kind,y,code\n1, b,10, 7\n3,a,20,9\n 5 ,a,60,7\n");
  dir_.write("val.csv", "code,y,n,kind,more\n9,30,7,\ta ,z\n8,31,3,c,z\n");
  const std::vector<SplitDataset> splits = make_splits(config("--data.csv.target y --data.csv.categorical code"));
  ASSERT_EQ(splits.size(), 2u);
  EXPECT_FALSE(splits[1].from_train);
  const Dataset& train = *splits[0].dataset;
  const std::vector<Field> expected = {
      {.name = "numeric",
       .dtype = DType::float32,
       .shape = {1},
       .columns = {{.name = "n", .mean = 3, .std = std::sqrt(8.0 / 3)}}},
      {.name = "categorical",
       .dtype = DType::int64,
       .shape = {2},
       .values = ValueRange{6},
       .columns = {{.name = "kind", .categories = {"a", "b"}}, {.name = "code", .categories = {"7", "9"}}}},
      {.name = "target",
       .dtype = DType::float64,
       .shape = {1},
       .columns = {{.name = "y", .mean = 30, .std = std::sqrt(1400.0 / 3)}}}};
  EXPECT_EQ(train.fields(), expected);
  const auto two = static_cast<float>(2 / std::sqrt(8.0 / 3));
  EXPECT_THAT(elements<float>(train, "numeric", 0), ElementsAre(-two));
  EXPECT_THAT(elements<std::int64_t>(train, "categorical", 0), ElementsAre(2, 4));
  EXPECT_THAT(elements<std::int64_t>(train, "categorical", 1), ElementsAre(1, 5));
  EXPECT_THAT(elements<double>(train, "target", 2), ElementsAre(60));

  const Dataset& val = *splits[1].dataset;
  EXPECT_EQ(val.fields(), expected) << "with the statistics and categories of train";
  EXPECT_THAT(elements<float>(val, "numeric", 0), ElementsAre(2 * two));
  EXPECT_THAT(elements<std::int64_t>(val, "categorical", 0), ElementsAre(1, 5));
  EXPECT_THAT(elements<std::int64_t>(val, "categorical", 1), ElementsAre(0, 3))
      << "categories that train does not have";
  EXPECT_EQ(val.name(1), dir_ / "val.csv" + ":3");
}

TEST_F(Csv, CategoriesThatTrainLacksAreCountedInAWarning) {
  dir_.write("train.csv", "k,c,y\n1,a,2\n2,b,3\n1,a,4\n");
  dir_.write("val.csv", "k,c,y\n1.0,a,2\n 2, b ,3\n01,a,4\n");
  dir_.write("test.csv", "k,c,y\n1 ,A,2\n3,a,3\n");
  const std::vector<SplitDataset> splits = make_splits(config("--data.csv.target y --data.csv.categorical k"));
  EXPECT_EQ(splits[0].dataset->warning(), "");
  EXPECT_EQ(splits[1].dataset->warning(),
            "the column 'k' has 2 of 3 rows with values that train lacks, e.g. '1.0'; they count as unknown");
  EXPECT_EQ(splits[2].dataset->warning(),
            "the column 'k' has 1 of 2 rows with values that train lacks, e.g. '3'; the column 'c' has 1 of 2 rows "
            "with values that train lacks, e.g. 'A'; they count as unknown");
}

TEST_F(Csv, SpacesAroundAClassDoNotMakeAnother) {
  dir_.write("train.csv", "a,k\n1,x\n2, y\n3,x \n4,y\n");
  dir_.write("val.csv", "a,k\n1,\tx\n");
  const std::vector<SplitDataset> splits = make_splits(config("--data.csv.label k"));
  EXPECT_THAT(splits[0].dataset->class_names(), ElementsAre("x", "y"));
  EXPECT_THAT(splits[1].dataset->class_counts(), ElementsAre(1, 0));
}

TEST_F(Csv, ATargetKeepsAllDigits) {
  dir_.write("train.csv", "n,y\n1,1700000001.25\n2,1700000002.5\n");
  dir_.write("val.csv", "n,y\n3,1700000003.75\n");
  const std::vector<SplitDataset> splits = make_splits(config("--data.csv.target y"));
  EXPECT_THAT(elements<double>(*splits[0].dataset, "target", 0), ElementsAre(1700000001.25));
  EXPECT_THAT(elements<double>(*splits[1].dataset, "target", 0), ElementsAre(1700000003.75));
}

TEST_F(Csv, ValIsTakenOutBeforeStatisticsAreTaken) {
  std::string text = "n,kind,y\n";
  for (int i = 0; i < 40; ++i) text += fmt::format("{},k{},{}\n", i * i, i, i);
  dir_.write("train.csv", text);
  const std::vector<SplitDataset> splits = make_splits(config("--data.csv.target y --data.val 10"));
  EXPECT_TRUE(splits[1].from_train);
  const Dataset& train = *splits[0].dataset;
  const Dataset& val = *splits[1].dataset;
  ASSERT_EQ(train.size(), 30u);
  ASSERT_EQ(val.size(), 10u);
  std::set<double> rows;
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < 30; ++i) {
    const double n = elements<float>(train, "numeric", i)[0];
    sum += n;
    squares += n * n;
    rows.insert(elements<double>(train, "target", i)[0]);
  }
  EXPECT_NEAR(sum, 0, 1e-5);
  EXPECT_NEAR(squares, 30, 1e-4);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(elements<std::int64_t>(val, "categorical", i)[0], 0) << "each row has a category of its own";
    rows.insert(elements<double>(val, "target", i)[0]);
  }
  EXPECT_EQ(rows.size(), 40u) << "each row is in one of them";
  EXPECT_EQ(val.fields(), train.fields());
  const std::vector<SplitDataset> other = make_splits(config("--data.csv.target y --data.val 10 --data.val_seed 1"));
  EXPECT_NE(other[0].dataset->fingerprint(), train.fingerprint());
  EXPECT_EQ(make_splits(config("--data.csv.target y --data.val 10"))[0].dataset->fingerprint(), train.fingerprint());
}

TEST_F(Csv, AColumnMayBeTheClass) {
  write_table(dir_, "train.csv", 60);
  write_table(dir_, "test.csv", 20);
  const std::vector<SplitDataset> splits =
      make_splits(config("--data.csv.label size --data.csv.ignore price --data.val 12"));
  ASSERT_EQ(splits.size(), 3u);
  const Dataset& train = *splits[0].dataset;
  EXPECT_THAT(train.class_names(), ElementsAre("large", "small"));
  EXPECT_EQ(describe(train.fields()), "numeric (float32, 3), categorical (int64, 1), label (int64)");
  std::vector<std::uint64_t> counts(2);
  for (std::size_t i = 0; i < train.size(); ++i) {
    const auto label = static_cast<std::uint64_t>(elements<std::int64_t>(train, "label", i)[0]);
    EXPECT_EQ(train.stratum(i), label);
    ++counts.at(label);
  }
  EXPECT_EQ(train.class_counts(), counts);
  dir_.write("test.csv", "a,b,c,d,size\n1,1,x,1,huge\n");
  EXPECT_THAT(error_of<RunError>([&] { make_splits(config("--data.csv.label size --data.csv.ignore price")); }),
              HasSubstr("test.csv:2] the class 'huge' is in no row that is trained on"));
}

TEST_F(Csv, SeveralColumnsMayBeTheTarget) {
  dir_.write("train.csv", "a,b,c\n1,2,3\n4,5,6\n7,8,10\n");
  const std::vector<SplitDataset> splits = make_splits(config("--data.csv.target c --data.csv.target a --data.val 1"));
  const Field& target = *find_field(splits[0].dataset->fields(), "target");
  EXPECT_EQ(target.shape, std::vector<std::int64_t>{2});
  EXPECT_EQ(target.columns[0].name, "c") << "in the order of the setting";
  EXPECT_EQ(target.columns[1].name, "a");
}

TEST_F(Csv, AColumnOfEqualNumbersHasADeviationOfOne) {
  dir_.write("train.csv", "a,b,y\n0.1,1,3\n0.1,2,6\n0.1,3,9\n");
  const std::vector<SplitDataset> splits = make_splits(config("--data.csv.target y --data.val 1"));
  EXPECT_EQ(splits[0].dataset->fields()[0].columns[0].std, 1);
  EXPECT_NEAR(elements<float>(*splits[0].dataset, "numeric", 0)[0], 0, 1e-9);
}

TEST_F(Csv, AMixtureOfNumbersAndTextIsRefusedWithTheLines) {
  EXPECT_THAT(refused<RunError>("a,y\n1,2\nN/A,3\n"),
              HasSubstr("train.csv:3] the column 'a' has 'N/A', which is not a number, and a number in line 2"));
  EXPECT_THAT(refused<RunError>("a,y\n1,2\n,3\n"), HasSubstr("train.csv:3] the column 'a' has no value"));
  EXPECT_THAT(refused<RunError>("a,b,y\n,x,2\n7,x,3\n"), HasSubstr("train.csv:2] the column 'a' has no value"));
  EXPECT_THAT(refused<RunError>("a,y\nx,2\n7,3\n"),
              HasSubstr("train.csv:3] the column 'a' has the number 7, and text in line 2"));
  EXPECT_THAT(refused<RunError>("a,y\n1,2\n1,nan\n"),
              HasSubstr("train.csv:3] the column 'y' has 'nan', which is not a number, and is to be predicted"));
  dir_.write("train.csv", "a,b,y\n,x,2\nz,x,3\n,x,4\n");
  const std::vector<SplitDataset> splits = make_splits(config("--data.csv.target y --data.val 1"));
  EXPECT_THAT(splits[0].dataset->fields()[0].columns[0].categories, testing::Contains("")) << "no text is a category";
}

TEST_F(Csv, MissingValuesOfOtherSplitsAreRefused) {
  dir_.write("train.csv", "a,y\n1,2\n3,4\n5,6\n");
  dir_.write("test.csv", "a,y\n1,2\n,4\n");
  EXPECT_THAT(error_of<RunError>([&] { make_splits(config("--data.csv.target y")); }),
              HasSubstr("test.csv:3] the column 'a' has '', which is not a number"));
  dir_.write("test.csv", "b,y\n1,2\n");
  EXPECT_THAT(error_of<RunError>([&] { make_splits(config("--data.csv.target y")); }),
              HasSubstr("test.csv] there is no column 'a'; the header has, nearest first: b, y"));
  dir_.write("test.csv", "a,y\n1e300,2\n");
  EXPECT_THAT(error_of<RunError>([&] { make_splits(config("--data.csv.target y")); }), HasSubstr("too large"));
  dir_.write("test.csv", "a,y\n");
  EXPECT_THAT(error_of<RunError>([&] { make_splits(config("--data.csv.target y")); }), HasSubstr("there is no row"));
}

TEST_F(Csv, SettingsThatTheTableDoesNotFitAreNamed) {
  const std::string table = "area,kind,price\n1,x,2\n3,y,4\n";
  EXPECT_THAT(refused<UsageError>(table, "--data.csv.target prise"), HasSubstr("[data.csv.target]"));
  EXPECT_THAT(refused<UsageError>(table, "--data.csv.target prise"), HasSubstr("nearest first: price,"));
  EXPECT_THAT(refused<UsageError>(table, "--data.csv.target price --data.csv.ignore price"),
              HasSubstr("'price' is named twice"));
  EXPECT_THAT(refused<UsageError>(table, "--data.csv.target price --data.csv.ignore area --data.csv.ignore kind"),
              HasSubstr("no column to predict from"));
  EXPECT_THAT(refused<RunError>("area,price\n", "--data.csv.target price"), HasSubstr("there is a header and no row"));
  EXPECT_THAT(error_of<UsageError>([] { validate(configured("--data.name csv")); }),
              HasSubstr("nothing is to be predicted"));
  DataConfig nowhere = config("--data.csv.target price");
  nowhere.root = dir_ / "none";
  std::filesystem::create_directory(nowhere.root);
  EXPECT_THAT(error_of<UsageError>([&] { make_splits(nowhere); }), StartsWith("[data.root] there is no file"));
}

TEST(NumberIn, ReadsFiniteNumbersWithSpacesAround) {
  EXPECT_EQ(number_in("12"), 12.0);
  EXPECT_EQ(number_in(" -1.5e3\t"), -1500.0);
  EXPECT_EQ(number_in("+.5"), 0.5);
  for (const char* const text :
       {"", " ", "1,5", "1 000", "0x10", "nan", "inf", "-inf", "1e999", "+-1", "--1", "1.2.3"}) {
    EXPECT_EQ(number_in(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace trainyard
