// What a shard's turns have to leave in the log, gathered by partition until the log takes it: one
// section per partition and record, with the effects of a turn and the mark that its message was
// applied together. Owned by the shard.
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
#include "wal/log.h"

namespace bettong::grid {

class Journal {
 public:
  Journal(const Catalog& catalog, uint32_t partitions);

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

  bool empty() const { return dirty_.empty() && closed_.empty(); }
  // Of what has been gathered.
  size_t bytes() const;
  // Moves all sections into `record`.
  void TakeInto(wal::LogRecord& record, TimeMs now_ms);
  // Takes the memory of a record that is durable back.
  void Recycle(wal::LogRecord& record);

  // The epoch that the log was opened in.
  void SetEpoch(wal::Epoch epoch) { epoch_ = epoch; }

 private:
  struct Mark {
    uint64_t channel, position, target;
  };
  struct Partition {
    std::string entries;
    size_t key_at = 0, key_size = SIZE_MAX;  // of the last change; SIZE_MAX: none in this section
    uint64_t key_end = 0;                    // its last bytes
    std::vector<Mark> marks;
    std::vector<uint8_t> classes;  // by ClassId: whether the schema has been written
    uint64_t sequence = 1;         // of the last section; the open section is 1
    uint64_t round_begin = 0;      // sequence
    bool dirty = false;
  };

  // Begins a change of the key; its op comes next.
  std::string& BeginChange(PartitionId partition, std::string_view key);
  // Where to append an entry to.
  std::string& Entries(PartitionId partition, LogEntryKind kind);
  Partition& Touch(PartitionId partition);
  void WriteMarks(Partition& partition);
  void Close(PartitionId partition, wal::SectionKind kind);
  std::string TakeSpare();

  std::vector<std::string> schemas_;  // encoded, by ClassId
  std::vector<Partition> partitions_;
  std::vector<PartitionId> dirty_;
  std::vector<wal::LogSection> closed_;
  std::vector<std::string> spare_;
  size_t bytes_closed_ = 0;
  wal::Epoch epoch_{1};
};

}  // namespace bettong::grid
