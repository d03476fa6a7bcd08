// For tests: a record's sections one by one, and records made of such.
#pragma once

#include <string>
#include <vector>

#include "wal/log_record.h"

namespace bettong::wal {

struct OwnedSection {
  PartitionId partition;
  SectionKind kind = SectionKind::kData;
  uint64_t sequence = 0;
  TimeMs now_ms = 0;
  std::string entries;

  Section view() const {
    return {.partition = partition,
            .kind = kind,
            .sequence = sequence,
            .now_ms = now_ms,
            .entries = entries};
  }
};

inline std::vector<OwnedSection> SectionsOf(const LogRecord& record) {
  SectionSorter sorter;
  std::vector<OwnedSection> sections;
  for (const Section& section : sorter.Sort(record)) {
    sections.push_back({.partition = section.partition,
                        .kind = section.kind,
                        .sequence = section.sequence,
                        .now_ms = section.now_ms,
                        .entries = std::string(section.entries)});
  }
  return sections;
}

// They share a time.
inline LogRecord RecordOf(const std::vector<OwnedSection>& sections) {
  LogRecord record;
  for (const OwnedSection& section : sections) {
    const LogRecord::PieceHeader header{.section = static_cast<uint32_t>(record.sections.size()),
                                        .bytes = static_cast<uint32_t>(section.entries.size())};
    record.now_ms = section.now_ms;
    record.sections.push_back({section.partition, section.kind, section.sequence});
    record.pieces.append(reinterpret_cast<const char*>(&header), sizeof(header));
    record.pieces += section.entries;
  }
  return record;
}

}  // namespace bettong::wal
