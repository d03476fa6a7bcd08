// A row of CSV as RFC 4180 has it: cells apart by commas or another character; one in quotes may
// hold them, and quotes doubled. The columns' names come from the configuration or from the first
// line; a cell is a field of its column's name.
#pragma once

#include <string>
#include <vector>

#include "ingest/line_reader.h"

namespace bettong::ingest {

class CsvLine final : public LineReader {
 public:
  // Without columns the first line names them.
  CsvLine(std::vector<std::string> columns, char delimiter)
      : LineReader(SourceFormat::kCsv), columns_(std::move(columns)), delimiter_(delimiter) {}

  // It may have been the header; then no row has a meaning.
  void OnLostLine() override {
    if (columns_.empty()) header_lost_ = true;
  }

 private:
  bool BeginLine() override;
  Step NextField(LineField& field) override;
  bool ReadHeader();
  // The next cell: its text, and the cell as it stands in the line. False: malformed.
  bool ReadCell(std::string_view& text, std::string_view& token);

  std::vector<std::string> columns_;
  const char delimiter_;
  bool header_lost_ = false;
  bool row_ended_ = false;
  size_t column_ = 0;  // of the next cell
  std::string text_;   // of a cell with doubled quotes
};

}  // namespace bettong::ingest
