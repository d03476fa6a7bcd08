// InfluxDB line protocol: measurement,tag=text field=1i,other=2.5,name="text",on=t 1556813561098
// Its fields: "measurement", the tags, the fields, and the time.
//
// A backslash is an escape before what would otherwise end a name (comma, space, '=' except in the
// measurement), in a quoted text before '"' and '\'; else it is a backslash.
#pragma once

#include <string>

#include "ingest/line_reader.h"

namespace bettong::ingest {

class InfluxLine final : public LineReader {
 public:
  explicit InfluxLine(TimePrecision precision)
      : LineReader(SourceFormat::kInflux), precision_(precision) {}

 private:
  enum class Part : uint8_t { kMeasurement, kTags, kFields, kEnd };

  bool BeginLine() override;
  Step NextField(LineField& field) override;
  Step ReadMeasurement(LineField& field);
  Step ReadTag(LineField& field);
  Step ReadField(LineField& field);
  Step ReadTime(LineField& field);
  Step ReadQuoted(LineField& field, std::string_view name);
  Step ReadPlain(LineField& field, std::string_view name);

  // Up to a character of `ends` that has no backslash before it; without the backslashes of those
  // that have, for which `buffer` is the place.
  std::string_view ReadName(std::string_view ends, std::string& buffer);

  const TimePrecision precision_;
  Part part_ = Part::kMeasurement;
  std::string name_;  // of the field at hand, if it has escapes
  std::string text_;
};

}  // namespace bettong::ingest
