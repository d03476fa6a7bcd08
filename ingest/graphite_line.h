// Graphite's plaintext: metric.path;tag=text 2.5 1556813561
// Its fields: "metric", the tags, "value", and the time. A line with the value nan is no event, as
// for carbon.
#pragma once

#include "ingest/line_reader.h"

namespace bettong::ingest {

class GraphiteLine final : public LineReader {
 public:
  GraphiteLine() : LineReader(SourceFormat::kGraphite) {}

 private:
  enum class Part : uint8_t { kMetric, kTags, kTime, kEnd };

  bool BeginLine() override;
  Step NextField(LineField& field) override;
  Step ReadMetric(LineField& field);
  Step ReadTag(LineField& field);
  Step ReadValue(LineField& field);
  Step ReadTime(LineField& field);
  std::string_view ReadWord();

  Part part_ = Part::kMetric;
  std::string_view path_;  // with its tags
  std::string_view value_;
  std::string_view time_;
};

}  // namespace bettong::ingest
