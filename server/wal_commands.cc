#include "server/wal_commands.h"

#include <absl/status/status.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <tuple>

#include "base/file_system.h"
#include "grid/entry_reader.h"
#include "grid/log_text.h"
#include "grid/logged_schemas.h"
#include "grid/value_text.h"
#include "server/cli.h"
#include "wal/data_directory.h"
#include "wal/history.h"
#include "wal/log_survey.h"
#include "wal/tool_files.h"

namespace bettong::server {
namespace {

// A node that writes meanwhile can make a good log look bad, but not twice in the same place.
constexpr int kVerifyTriesMax = 10;

int FailWal(std::string_view command, const std::string& directory, std::string_view message) {
  if (message.starts_with("wal: ")) message.remove_prefix(5);
  std::fprintf(stderr, "bettong: wal %s %s: %.*s\n", std::string(command).c_str(),
               directory.c_str(), static_cast<int>(message.size()), message.data());
  return kExitFailed;
}

std::string_view Text(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

void Complain(const std::string& message) {
  std::fprintf(stderr, "bettong: %s\n", message.c_str());
}

// Standard output, in large pieces.
class Out {
 public:
  ~Out() { Flush(); }
  std::string& text() { return text_; }
  void EndLine() {
    text_.push_back('\n');
    if (text_.size() > 64u << 10) Flush();
  }

 private:
  void Flush() {
    std::fwrite(text_.data(), 1, text_.size(), stdout);
    text_.clear();
  }
  std::string text_;
};

// "shard-00/00000002.log"
std::string ShortName(const wal::SurveyedLog& log, const wal::SurveyedSegment& segment) {
  return absl::StrCat(wal::ShardDirectoryName(log.shard), "/",
                      wal::SegmentFileName(segment.number));
}

std::string TimeText(TimeMs time_ms) {
  std::string text;
  grid::AppendTimeText(time_ms, text);
  return text;
}

template <typename Visit>
bool ForEachSection(std::string_view bytes, const Visit& visit) {
  while (!bytes.empty()) {
    wal::Section section;
    if (!wal::DecodeSection(bytes, section)) return false;
    visit(section);
  }
  return true;
}

}  // namespace

// -- ls

namespace {

struct SegmentTotals {
  uint64_t records = 0, sections = 0, used_bytes = 0, file_bytes = 0;
  TimeMs first_ms = INT64_MAX, last_ms = INT64_MIN;

  void Add(const wal::Record& record) {
    ++records;
    ForEachSection(record.sections, [&](const wal::Section& section) {
      ++sections;
      first_ms = std::min(first_ms, section.now_ms);
      last_ms = std::max(last_ms, section.now_ms);
    });
  }
  void Add(const SegmentTotals& other) {
    records += other.records;
    sections += other.sections;
    used_bytes += other.used_bytes;
    file_bytes += other.file_bytes;
  }
};

void ListSegment(wal::ToolFiles& files, const wal::SurveyedLog& log, size_t index, Out& out,
                 SegmentTotals& totals) {
  const wal::SurveyedSegment& segment = log.segments[index];
  if (!segment.fault.empty()) Complain(absl::StrCat(segment.path, ": ", segment.fault));
  SegmentTotals of{.file_bytes = segment.size};
  absl::StrAppend(&out.text(), ShortName(log, segment));
  if (segment.header) {
    const auto end =
        wal::ReadSegment(files, log, index, [&](const wal::Record& record) { of.Add(record); });
    if (!end.ok()) {
      Complain(std::string(end.status().message()));
    } else {
      if (!end->fault.empty()) Complain(end->fault);
      of.used_bytes = end->offset;
    }
    const uint64_t first = segment.header->first_lsn.value();
    absl::StrAppendFormat(
        &out.text(), "  epoch %d  lsn %s  %d records  %d sections  %d/%d bytes",
        segment.header->epoch.value(),
        of.records == 0 ? std::string("-") : absl::StrCat(first, "-", first + of.records - 1),
        of.records, of.sections, of.used_bytes, of.file_bytes);
    if (of.sections > 0) {
      absl::StrAppend(&out.text(), "  ", TimeText(of.first_ms), " to ", TimeText(of.last_ms));
    }
  } else {
    absl::StrAppend(&out.text(), "  unreadable  ", of.file_bytes, " bytes");
  }
  out.EndLine();
  totals.Add(of);
}

// What a directory is, or why it is no data directory.
absl::Status DescribeNode(wal::ToolFiles& files, const std::string& path, Out& out) {
  const auto directory = wal::DataDirectory::OpenToRead(files, path);
  if (!directory.ok()) return directory.status();
  const wal::NodeFile& node = (*directory)->node();
  absl::StrAppend(&out.text(), "node ",
                  absl::BytesToHexString(absl::string_view(node.node.data(), node.node.size())),
                  "  ", node.partitions, " partitions");
  out.EndLine();
  return absl::OkStatus();
}

}  // namespace

int WalLs(const WalArguments& arguments) {
  const auto disk = MakePosixFileSystem();
  wal::ToolFiles files(*disk, arguments.directory);
  const auto logs = wal::SurveyLogs(files, arguments.directory);
  if (!logs.ok()) return FailWal("ls", arguments.directory, Text(logs.status()));
  Out out;
  if (absl::Status status = DescribeNode(files, arguments.directory, out); !status.ok()) {
    if (logs->empty()) return FailWal("ls", arguments.directory, Text(status));
    Complain(std::string(status.message()));
  }
  SegmentTotals totals;
  std::set<uint64_t> epochs;
  size_t segments = 0;
  for (const wal::SurveyedLog& log : *logs) {
    for (size_t i = 0; i < log.segments.size(); ++i) {
      ListSegment(files, log, i, out, totals);
      if (log.segments[i].header) epochs.insert(log.segments[i].header->epoch.value());
    }
    segments += log.segments.size();
    absl::StrAppend(&out.text(), wal::ShardDirectoryName(log.shard), "/durable  ");
    if (log.durable) {
      absl::StrAppend(&out.text(), "epoch ", log.durable->epoch.value(), "  lsn ",
                      log.durable->lsn.value());
    } else {
      out.text() += "missing or unreadable";
    }
    out.EndLine();
  }
  absl::StrAppend(&out.text(), "total  ", logs->size(), " logs  ", segments, " segments  ",
                  epochs.size(), " epochs  ", totals.records, " records  ", totals.sections,
                  " sections  ", totals.used_bytes, "/", totals.file_bytes, " bytes");
  out.EndLine();
  return kExitOk;
}

// -- dump

namespace {

class Dump {
 public:
  Dump(const WalDumpArguments& arguments, Out& out) : arguments_(arguments), out_(out) {}

  void Segment(wal::ToolFiles& files, const wal::SurveyedLog& log, size_t index) {
    const wal::SurveyedSegment& segment = log.segments[index];
    if (!segment.fault.empty()) Complain(absl::StrCat(segment.path, ": ", segment.fault));
    if (!segment.header) return;
    name_ = ShortName(log, segment);
    const auto end = wal::ReadSegment(files, log, index, [&](const wal::Record& record) {
      void_ = segment.last_that_counts && record.header.lsn > *segment.last_that_counts;
      ShowRecord(segment.path, record);
    });
    if (!end.ok()) {
      Complain(std::string(end.status().message()));
    } else if (!end->fault.empty()) {
      Complain(end->fault);
    }
  }

 private:
  bool filtered() const { return arguments_.partition || arguments_.key; }

  void ShowRecord(const std::string& path, const wal::Record& record) {
    record_ = &record;
    if (record.sections.empty() && !filtered()) ShowMarker();
    const bool whole = ForEachSection(
        record.sections, [&](const wal::Section& section) { ShowSection(path, section); });
    if (!whole) {
      Complain(absl::StrCat(path, " at ", record.offset,
                            ": the record is whole, but what is in it is not a section"));
    }
  }

  void ShowSection(const std::string& path, const wal::Section& section) {
    if (arguments_.partition && section.partition.value() != *arguments_.partition) return;
    section_ = &section;
    if (section.kind != wal::SectionKind::kData) {
      if (!arguments_.key) ShowBound();
      return;
    }
    grid::EntryReader reader(section.entries);
    while (reader.Next()) {
      const grid::LogEntry& entry = reader.entry();
      schemas_.Learn(section.partition, entry);
      if (!arguments_.key || (entry.is_change() && entry.key == *arguments_.key)) ShowEntry(entry);
    }
    if (!reader.ok()) {
      Complain(absl::StrCat(path, " at ", record_->offset, ", partition ",
                            section.partition.value(), ", section ", section.sequence,
                            ": entry of kind ", static_cast<int>(reader.entry().kind), " at byte ",
                            reader.entry().at, " is malformed"));
    }
  }

  void BeginLine(bool with_section) {
    std::string& out = out_.text();
    const wal::RecordHeader& header = record_->header;
    if (arguments_.json) {
      absl::StrAppend(&out, "{\"segment\":\"", name_, "\",\"offset\":", record_->offset,
                      ",\"lsn\":", header.lsn.value(), ",\"epoch\":", header.epoch.value());
      if (void_) out += ",\"void\":true";
      if (with_section) {
        absl::StrAppend(&out, ",\"partition\":", section_->partition.value(),
                        ",\"sequence\":", section_->sequence, ",\"time_ms\":", section_->now_ms);
      }
      out.push_back(',');
      return;
    }
    absl::StrAppend(&out, name_, " @", record_->offset, " lsn ", header.lsn.value(), " epoch ",
                    header.epoch.value(), void_ ? " void " : " ");
    if (!with_section) return;
    absl::StrAppend(&out, "p", section_->partition.value(), " #", section_->sequence, " ");
    grid::AppendTimeText(section_->now_ms, out);
    out.push_back(' ');
  }
  void EndLine() {
    if (arguments_.json) out_.text().push_back('}');
    out_.EndLine();
  }

  void ShowEntry(const grid::LogEntry& entry) {
    BeginLine(true);
    if (arguments_.json) {
      grid::AppendEntryJson(section_->partition, entry, schemas_, out_.text());
    } else {
      grid::AppendEntryText(section_->partition, entry, schemas_, out_.text());
    }
    EndLine();
  }

  void ShowMarker() {
    BeginLine(false);
    absl::StrAppend(&out_.text(),
                    arguments_.json ? "\"kind\":\"marker\",\"durable\":" : "marker durable ",
                    record_->header.durable_lsn.value());
    EndLine();
  }

  // Sections that hold no entries of ours.
  void ShowBound() {
    BeginLine(true);
    std::string& out = out_.text();
    const bool json = arguments_.json;
    wal::OpenEntry open;
    wal::CheckpointEndEntry end;
    if (section_->kind == wal::SectionKind::kOpen && wal::DecodeOpen(section_->entries, open)) {
      if (json) {
        absl::StrAppend(&out, "\"kind\":\"open\",\"continues\":", open.continues.value(),
                        ",\"cut\":", open.cut_sequence);
      } else if (open.continues == wal::Epoch(0)) {
        out += "open, empty";
      } else {
        absl::StrAppend(&out, "open, continues epoch ", open.continues.value(), " behind #",
                        open.cut_sequence);
      }
    } else if (section_->kind == wal::SectionKind::kCheckpointBegin) {
      out += json ? "\"kind\":\"checkpoint_begin\"" : "checkpoint begin";
    } else if (section_->kind == wal::SectionKind::kCheckpointEnd &&
               wal::DecodeCheckpointEnd(section_->entries, end)) {
      absl::StrAppend(
          &out,
          json ? "\"kind\":\"checkpoint_end\",\"begin_epoch\":" : "checkpoint end, begun in epoch ",
          end.begin_epoch.value(), json ? ",\"begin\":" : " with #", end.begin_sequence);
    } else {
      absl::StrAppend(
          &out, json ? "\"kind\":\"malformed\",\"section_kind\":" : "malformed section of kind ",
          static_cast<int>(section_->kind));
    }
    EndLine();
  }

  const WalDumpArguments& arguments_;
  Out& out_;
  grid::LoggedSchemas schemas_;
  std::string name_;
  bool void_ = false;
  const wal::Record* record_ = nullptr;
  const wal::Section* section_ = nullptr;
};

}  // namespace

int WalDump(const WalDumpArguments& arguments) {
  const auto disk = MakePosixFileSystem();
  wal::ToolFiles files(*disk, arguments.directory);
  const auto logs = wal::SurveyLogs(files, arguments.directory);
  if (!logs.ok()) return FailWal("dump", arguments.directory, Text(logs.status()));
  const auto directory = wal::DataDirectory::OpenToRead(files, arguments.directory);
  if (!directory.ok()) {
    if (logs->empty()) return FailWal("dump", arguments.directory, Text(directory.status()));
    Complain(std::string(directory.status().message()));
  }
  Out out;
  for (const wal::SurveyedLog& log : *logs) {
    if (arguments.shard && log.shard.value() != *arguments.shard) continue;
    Dump dump(arguments, out);
    for (size_t i = 0; i < log.segments.size(); ++i) {
      if (log.segments[i].number.value() < static_cast<uint64_t>(arguments.from_segment)) continue;
      dump.Segment(files, log, i);
    }
  }
  return kExitOk;
}

// -- verify

namespace {

struct Verified {
  uint64_t segments = 0, records = 0, sections = 0, entries = 0, bytes = 0;
  std::vector<std::string> notes;
};

class Verifier {
 public:
  explicit Verifier(const wal::DataDirectory& directory) : directory_(directory) {}

  Verified done;

  absl::Status Take(const wal::History::Visit& visit) {
    const auto record = std::make_tuple(visit.shard, visit.segment, visit.record_offset);
    if (record != last_record_) ++done.records;
    last_record_ = record;
    ++done.sections;
    if (visit.section.kind != wal::SectionKind::kData) return absl::OkStatus();
    const PartitionId partition = visit.section.partition;
    grid::EntryReader reader(visit.section.entries);
    while (reader.Next()) {
      const grid::LogEntry& entry = reader.entry();
      ++done.entries;
      schemas_.Learn(partition, entry);
      if (std::string fault = FaultOf(partition, entry); !fault.empty()) {
        return At(visit, entry, fault);
      }
    }
    if (reader.ok()) return absl::OkStatus();
    return At(visit, reader.entry(), "not what was recorded");
  }

 private:
  std::string FaultOf(PartitionId partition, const grid::LogEntry& entry) const {
    if (entry.kind == grid::LogEntryKind::kClass) {
      return grid::RowSchema::DecodeSchema(entry.bytes) ? "" : "the schema is malformed";
    }
    if (!entry.is_change() ||
        (entry.op != grid::ChangeOp::kEntityCreate && entry.op != grid::ChangeOp::kEntityDelta)) {
      return {};
    }
    const grid::LoggedSchemas::Class* entity_class = nullptr;
    const grid::RowSchema* schema = schemas_.Find(partition, entry.key, &entity_class);
    if (schema == nullptr || !entity_class->certain) return {};
    return grid::FaultOfRow(*schema, entry);
  }

  absl::Status At(const wal::History::Visit& visit, const grid::LogEntry& entry,
                  std::string_view fault) const {
    return absl::DataLossError(absl::StrCat(
        directory_.ShardPath(visit.shard), "/", wal::SegmentFileName(visit.segment), " at ",
        visit.record_offset, ": partition ", visit.section.partition.value(), ", section ",
        visit.section.sequence, ", entry of kind ", static_cast<int>(entry.kind), " at byte ",
        entry.at, ": ", std::string(fault),
        ". The checksums are right: it was written so. Keep the directory for a report"));
  }

  const wal::DataDirectory& directory_;
  grid::LoggedSchemas schemas_;
  std::tuple<ShardId, wal::SegmentNumber, uint64_t> last_record_;
};

absl::StatusOr<Verified> Verify(FileSystem& disk, const std::string& path) {
  wal::ToolFiles files(disk, path);
  auto directory = wal::DataDirectory::OpenToRead(files, path);
  if (!directory.ok()) return directory.status();
  auto history = wal::History::Open(files, **directory);
  if (!history.ok()) return history.status();
  Verifier verifier(**directory);
  const auto take = [&](const wal::History::Visit& visit) { return verifier.Take(visit); };
  const auto progress = [&](const wal::HistoryProgress& at) {
    ++verifier.done.segments;
    verifier.done.bytes = at.bytes_total;
  };
  auto end = (*history)->Replay([](PartitionId) { return true; }, take, progress);
  if (!end.ok()) return end.status();
  verifier.done.notes = std::move(end->notes);
  return std::move(verifier.done);
}

}  // namespace

int WalVerify(const WalArguments& arguments) {
  const auto disk = MakePosixFileSystem();
  absl::StatusOr<Verified> verified = Verify(*disk, arguments.directory);
  for (int i = 1; i < kVerifyTriesMax && !verified.ok(); ++i) {
    absl::StatusOr<Verified> again = Verify(*disk, arguments.directory);
    const bool same = again.status() == verified.status();
    verified = std::move(again);
    if (same) break;
  }
  if (!verified.ok()) {
    std::string message(Text(verified.status()));
    if (absl::IsDataLoss(verified.status()) && !absl::StrContains(message, ". ")) {
      message += ". Restore the data directory from a copy";
    }
    return FailWal("verify", arguments.directory, message);
  }
  for (const std::string& note : verified->notes) {
    std::printf("note: a node that starts here would have %s\n", note.c_str());
  }
  std::printf("ok: %s\n", absl::StrCat(verified->segments, " segments, ", verified->records,
                                       " records, ", verified->sections, " sections, ",
                                       verified->entries, " entries, ", verified->bytes, " bytes")
                              .c_str());
  return kExitOk;
}

}  // namespace bettong::server
