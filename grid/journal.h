// What a shard's turns have to leave in the log, gathered until the log takes it: one section per
// partition and record, with the effects of a turn and the mark that its message was applied
// together. Owned by the shard.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "grid/catalog.h"
#include "grid/change.h"
#include "grid/log_entry.h"
#include "grid/value.h"
#include "wal/log_record.h"

namespace bettong::grid {

class Journal {
 public:
  Journal(const Catalog& catalog, uint32_t partitions);

  // The catalog has been exchanged: schemas are written again before rows of classes whose schemas
  // have changed.
  void OnCatalogChanged(const Catalog& catalog);

  // Where to write the change's payload.
  std::string& Change(PartitionId partition, std::string_view key, ChangeOp op);
  // Changes of an entity, as its compute host wrote them.
  void Changes(PartitionId partition, ClassId entity_class, std::string_view key,
               std::string_view changes);
  // The class's schema, unless whoever reads this partition has it already. Comes before a change
  // of its rows.
  void Class(PartitionId partition, ClassId entity_class);
  void Applied(PartitionId partition, uint64_t channel, uint64_t position, uint64_t target);
  void LowWater(PartitionId partition, uint64_t channel, uint64_t position);
  void Output(PartitionId partition, uint64_t sequence, std::string_view stream,
              std::string_view json);
  void Input(PartitionId partition, uint64_t sequence, std::string_view stream, StreamEntryId id,
             std::string_view fields_payload);
  void Confirmed(PartitionId partition, uint64_t sequence);
  void Endpoint(PartitionId partition, std::string_view name, std::string_view state);
  void Watermark(PartitionId partition, std::string_view stream, TimeMs watermark_ms);
  void Sequences(PartitionId partition, uint64_t last_output);
  // A round of the checkpoint. From the begin on, schemas are written again.
  void BeginRound(PartitionId partition);
  void EndRound(PartitionId partition);

  bool empty() const { return sections_.empty(); }
  // Of what has been gathered: sections as they lie in the log.
  size_t bytes() const {
    return pieces_.size() - piece_count_ * sizeof(wal::LogRecord::PieceHeader) +
           sections_.size() * wal::kSectionHeaderBytes;
  }
  // Moves all sections into `record`.
  void TakeInto(wal::LogRecord& record, TimeMs now_ms);
  // Takes the memory of a record that is durable back.
  void Recycle(wal::LogRecord& record);

  // The epoch that the log was opened in.
  void SetEpoch(wal::Epoch epoch) { epoch_ = epoch; }

 private:
  static constexpr uint32_t kNoSection = UINT32_MAX;

  struct Partition {
    uint32_t section = kNoSection;  // the open one, of sections_
    // Of the last change and the last mark in it.
    size_t key_at = 0, key_size = SIZE_MAX;  // SIZE_MAX: there is none
    uint64_t key_end = 0;                    // the key's last bytes
    uint64_t channel = 0;
    bool has_channel = false;
    std::vector<uint8_t> classes;  // by ClassId: whether the schema has been written
    uint64_t sequence = 1;         // of the last section; the open section is 1
    uint64_t round_begin = 0;      // sequence
  };

  void EncodeSchemas(const Catalog& catalog);
  // Where to append an entry to.
  std::string& Entries(PartitionId partition, LogEntryKind kind);
  // Begins a change of the key; its op comes next.
  std::string& BeginChange(PartitionId partition, std::string_view key);
  // What is appended to the pieces is of this partition's section from here on.
  Partition& Touch(PartitionId partition);
  void Open(PartitionId partition, wal::SectionKind kind);
  void Close(PartitionId partition);
  void BeginPiece(uint32_t section);
  void EndPiece();

  std::vector<std::string> schemas_;  // encoded, by ClassId
  std::vector<Partition> partitions_;
  std::vector<wal::LogRecord::SectionHead> sections_;
  std::string pieces_;
  uint32_t piece_section_ = kNoSection;  // of the last piece
  size_t piece_at_ = 0;
  size_t piece_count_ = 0;
  std::string spare_;
  wal::Epoch epoch_{1};
};

}  // namespace bettong::grid
