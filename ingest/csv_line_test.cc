#include "ingest/csv_line.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "ingest/line_testing.h"

namespace bettong::ingest {
namespace {

std::string Read(std::string_view line, char delimiter = ',') {
  CsvLine reader({"a", "b", "c"}, delimiter);
  return ReadLine(reader, line);
}

std::string Wrong(const char* what, int column) {
  return absl::StrCat("not valid CSV: ", what, ", at column ", column);
}

// The examples of RFC 4180, section 2.
TEST(CsvLine, ReadsTheRowsOfItsSpecification) {
  EXPECT_EQ(Read("aaa,bbb,ccc"), R"(a:"aaa" b:"bbb" c:"ccc")");
  EXPECT_EQ(Read("\"aaa\",\"bbb\",\"ccc\""), R"(a:"aaa" b:"bbb" c:"ccc")");
  EXPECT_EQ(Read("\"aaa\",\"b\"\"bb\",\"ccc\""), R"(a:"aaa" b:"b"bb" c:"ccc")");
  EXPECT_EQ(Read("zzz,yyy,xxx\r\n"), R"(a:"zzz" b:"yyy" c:"xxx")");
  // In a frame of its own a row may have line breaks in quotes.
  EXPECT_EQ(Read("\"aaa\",\"b\r\nbb\",\"ccc\""), "a:\"aaa\" b:\"b\r\nbb\" c:\"ccc\"");
}

TEST(CsvLine, CellsAreTakenAsTheyAre) {
  EXPECT_EQ(Read(",,"), R"(a:"" b:"" c:"")");
  EXPECT_EQ(Read("\"\", x ,\"\"\"\""), R"(a:"" b:" x " c:""")");
  EXPECT_EQ(Read("\"1,5\",\"\"\"\"\"\",\"a\"\"\"\"b\""), R"(a:"1,5" b:"""" c:"a""b")");
  EXPECT_EQ(Read("1,5;\"x;y\";z", ';'), R"(a:"1,5" b:"x;y" c:"z")");
  EXPECT_EQ(Read("1\t \t3", '\t'), R"(a:"1" b:" " c:"3")");
}

TEST(CsvLine, WrongRowsAreNamedWithTheirColumn) {
  const struct {
    const char* line;
    const char* wrong;
    int column;
  } kCases[] = {
      {"1,2", "there are fewer cells than columns", 4},
      {"1,2,3,4", "there are more cells than columns", 7},
      {"1,2,3,", "there are more cells than columns", 7},
      {"1,\"2,3", "the quotes of a cell are not closed", 3},
      {"1,\"2\"\",3", "the quotes of a cell are not closed", 3},
      {"1,2,\"", "the quotes of a cell are not closed", 5},
      {"1,\"2\"x,3", "expected the delimiter behind a cell in quotes", 6},
      {"1, \"2\",3", "a quote in a cell without quotes", 4},
      {"1,2\"\",3", "a quote in a cell without quotes", 4},
      {"1,\xfe,3", "bytes that are not UTF-8", 3},
  };
  for (const auto& [line, wrong, column] : kCases) {
    EXPECT_EQ(Read(line), Wrong(wrong, column)) << line;
  }
}

TEST(CsvLine, TheFirstLineNamesTheColumns) {
  CsvLine reader({}, ',');
  EXPECT_EQ(ReadLine(reader, "\xef\xbb\xbfkey,\"the \"\"value\"\"\""), "-");
  EXPECT_EQ(ReadLine(reader, "a,1"), R"(key:"a" the "value":"1")");
  EXPECT_EQ(ReadLine(reader, "key,value"), R"(key:"key" the "value":"value")");
  EXPECT_EQ(ReadLine(reader, "a"), Wrong("there are fewer cells than columns", 2));
  reader.OnLostLine();
  EXPECT_EQ(ReadLine(reader, "b,2"), R"(key:"b" the "value":"2")");
}

TEST(CsvLine, ARowIsNeverTakenForAHeader) {
  const struct {
    const char* header;
    const char* wrong;
    int column;
  } kCases[] = {
      {"key,,value", "a column has no name", 1},
      {"key,key", "two columns have the same name", 1},
      {"key,\"value", "the quotes of a cell are not closed", 5},
      {"key,\xff", "bytes that are not UTF-8", 5},
  };
  for (const auto& [header, wrong, column] : kCases) {
    CsvLine reader({}, ',');
    EXPECT_EQ(ReadLine(reader, header), Wrong(wrong, column)) << header;
    EXPECT_EQ(ReadLine(reader, "a,1"),
              Wrong("the columns have no names: the first line was no header", 1));
  }
  CsvLine reader({}, ',');
  reader.OnLostLine();
  EXPECT_EQ(ReadLine(reader, "a,1"),
            Wrong("the columns have no names: the first line was no header", 1));
}

TEST(CsvLine, ColumnsHaveALimit) {
  const auto header = [](size_t columns) {
    std::string line = "c0";
    for (size_t i = 1; i < columns; ++i) absl::StrAppend(&line, ",c", i);
    return line;
  };
  CsvLine fits({}, ','), over({}, ',');
  EXPECT_EQ(ReadLine(fits, header(kCsvColumnsMax)), "-");
  EXPECT_EQ(ReadLine(over, header(kCsvColumnsMax + 1)),
            Wrong("there are more than 4096 columns", 1));
}

TEST(CsvLine, DelimitersAreOneCharacterOfPunctuation) {
  for (const char* good : {",", ";", "|", "\t", " ", ":"}) EXPECT_TRUE(IsCsvDelimiter(good));
  for (const char* bad : {"", ",,", "a", "1", "\"", "\n", "\r", "\x7f", "\xc3", "\xc3\xa4"}) {
    EXPECT_FALSE(IsCsvDelimiter(bad)) << bad;
  }
}

}  // namespace
}  // namespace bettong::ingest
