// The parts of a command that several shards (or turns) answer, until the last one is in. Parts are
// RESP bytes or a merge function's own encoding; one that starts with "-" is an error and is the
// reply of the whole command.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/reply_writer.h"

namespace bettong::protocol {

struct CommandRow;
struct PortNode;

struct Gather {
  const CommandRow* row = nullptr;
  std::vector<std::string> parts;  // by Ticket::part
  size_t parts_missing = 0;
  bool sums = false;  // parts are integers, added up as they come
  int64_t sum = 0;
  bool first_wins = false;            // a part that is not null completes the command
  std::vector<uint16_t> part_of_key;  // kKeysByShard: which part answers the i-th key
  std::vector<std::string> args;      // a copy, for the commands that need it
  uint64_t note = 0;                  // the command's own business
  PortNode* node = nullptr;           // kEveryPort

  void Take(uint16_t part, std::string_view bytes);
  // The error among the parts, or an empty text.
  std::string_view Error() const;
};

// Merge functions.
void MergeSum(Gather& gather, ReplyWriter& reply);     // ":n" parts, or the sum of them
void MergeOk(Gather& gather, ReplyWriter& reply);      // "+OK"
void MergeArrays(Gather& gather, ReplyWriter& reply);  // "*n ..." parts, appended to each other
void MergeByKey(Gather& gather, ReplyWriter& reply);  // "*n ..." parts, elements in the keys' order
void MergeFirst(Gather& gather, ReplyWriter& reply);  // one part, or the first that is not null

// Size of the complete RESP value at the start of `bytes` (which must hold one).
size_t ValueSize(std::string_view bytes);
// Reads the number of a head like ":12\r\n" or "*3\r\n"; moves `bytes` behind it.
int64_t TakeHead(std::string_view& bytes);
bool IsNullReply(std::string_view bytes);

}  // namespace bettong::protocol
