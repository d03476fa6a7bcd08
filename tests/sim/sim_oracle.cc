#include "tests/sim/sim_oracle.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <simdjson.h>

#include <map>
#include <vector>

#include "grid/key_turn.h"

namespace bettong::sim {
namespace {

struct Life {
  int64_t first, last, count;
};

std::string CheckLives(const std::string& key, const std::vector<Life>& lives, int64_t last) {
  int64_t next = 1;
  for (const Life& life : lives) {
    if (life.first != next || life.count != life.last - life.first + 1) {
      return absl::StrCat("session ", key, ": a life of ticks ", life.first, " to ", life.last,
                          " (", life.count, "), ", next, " was due");
    }
    next = life.last + 1;
  }
  if (next == last + 1) return "";
  return absl::StrCat("session ", key, ": lives up to tick ", next - 1, " of ", last);
}

// By the clock of events it is known beforehand which they are.
std::string CheckVisits(const std::string& key, const std::vector<Life>& lives,
                        const std::vector<Expected::Life>& expected) {
  const size_t over = expected.size() - (key == kLastVisit ? 1 : 0);
  for (size_t i = 0; i < lives.size() && i < over; ++i) {
    const auto& [first, last] = expected[i];
    if (lives[i].first == first && lives[i].last == last && lives[i].count == last - first + 1) {
      continue;
    }
    return absl::StrCat("visit ", key, ": events ", lives[i].first, " to ", lives[i].last, " (",
                        lives[i].count, ") in its life ", i + 1, ", not ", first, " to ", last);
  }
  if (lives.size() == over) return "";
  return absl::StrCat("visit ", key, ": ", lives.size(), " lives are over, not ", over);
}

// Calls count on from one to the next; of what was fed, each once, in order; what was answered to
// be durable is there.
std::string CheckCounter(const std::string& key, const Expected::Counter& expected, int64_t calls,
                         const std::vector<int64_t>& fed) {
  if (calls < expected.durable_calls || calls > expected.calls) {
    return absl::StrCat("counter ", key, ": ", calls, " calls, ", expected.calls, " made, ",
                        expected.durable_calls, " answered");
  }
  size_t at = 0;
  for (size_t n = 0; n < expected.fed.size(); ++n) {
    if (at < fed.size() && fed[at] == static_cast<int64_t>(n)) {
      ++at;
    } else if (expected.fed[n]) {
      return absl::StrCat("counter ", key, ": entry ", n, " was added durably, and not seen");
    }
  }
  if (at == fed.size()) return "";
  return absl::StrCat("counter ", key, ": entry ", fed[at], " is seen once more, or late");
}

OutputLine LineOf(const std::string& text, simdjson::dom::element json) {
  OutputLine line{.text = text};
  for (const auto& [name, value] : simdjson::dom::object(json)) {
    int64_t number = 0;
    std::string_view word;
    if (value.get(number) == simdjson::SUCCESS) line.ints.emplace(name, number);
    if (value.get(word) == simdjson::SUCCESS) line.texts.emplace(name, word);
  }
  return line;
}

void AddNumbers(const char* row, const grid::FieldSchema& field, std::vector<int64_t>& to) {
  const char* at = row + field.offset;
  if (field.type == grid::FieldType::kInt) to.push_back(LoadUnaligned<int64_t>(at));
  for (size_t i = 0; i < field.array_size; ++i) to.push_back(LoadUnaligned<int64_t>(at + 8 * i));
  if (grid::IsContainer(field.type)) {
    to.push_back(grid::RowSchema::ContainerAt(row, field)->NextDue());
  }
}

}  // namespace

std::string CheckOutputs(const Expected& expected, std::string_view lines) {
  std::map<std::string, size_t> seen;
  std::map<std::string, std::vector<Life>> lives, visits;
  std::map<std::string, int64_t> calls;
  std::map<std::string, std::vector<int64_t>> fed;
  Letters letters;
  std::map<std::string, OutputLines, std::less<>> parts;
  simdjson::dom::parser parser;
  while (!lines.empty()) {
    const size_t end = lines.find('\n');
    if (end == std::string_view::npos) return "the sink's file ends inside of a line";
    const std::string line(lines.substr(0, end));
    lines.remove_prefix(end + 1);
    simdjson::dom::element json;
    if (parser.parse(line).get(json) != simdjson::SUCCESS) {
      return absl::StrCat("the sink's file holds '", line, "'");
    }
    std::string_view text;
    const auto number = [&](const char* name) {
      int64_t value = 0;
      return json[name].get(value) == simdjson::SUCCESS ? value : -1;
    };
    if (json["bad"].get(text) == simdjson::SUCCESS) return std::string(text);
    if (json["part"].get(text) == simdjson::SUCCESS) {
      parts[std::string(text)].push_back(LineOf(line, json));
    } else if (OutputLine late; Gauges::ReadLetter(line, late)) {
      parts["gauges"].push_back(std::move(late));
    } else if (json["k"].get(text) == simdjson::SUCCESS) {
      const std::string key(text);
      const auto account = expected.accounts.find(key);
      const size_t at = seen[key]++;
      if (account == expected.accounts.end() || at >= account->second.sent.size() ||
          number("n") != static_cast<int64_t>(at) + 1 ||
          number("sent") != account->second.sent[at]) {
        return absl::StrCat("output ", at + 1, " of account ", key, " is ", line);
      }
    } else if (json["gone"].get(text) == simdjson::SUCCESS) {
      lives[std::string(text)].push_back({number("first"), number("last"), number("count")});
    } else if (json["left"].get(text) == simdjson::SUCCESS) {
      visits[std::string(text)].push_back({number("first"), number("last"), number("count")});
    } else if (json["called"].get(text) == simdjson::SUCCESS) {
      if (number("n") != ++calls[std::string(text)]) return absl::StrCat("out of turn: ", line);
    } else if (json["fed"].get(text) == simdjson::SUCCESS) {
      fed[std::string(text)].push_back(number("n"));
    } else {
      bool known = false;
      for (const auto& [piece, count] : expected.letters) {
        if (line.find(piece + "\"") == std::string::npos &&
            line.find(piece + "\\") == std::string::npos) {
          continue;
        }
        known = true;
        if (++letters[piece] > count) return absl::StrCat("a dead letter too many: ", line);
      }
      if (!known) return absl::StrCat("a line that nobody sent: ", line);
    }
  }
  for (const auto& [key, account] : expected.accounts) {
    const size_t count = seen.contains(key) ? seen[key] : 0;
    if (count != account.sent.size()) {
      return absl::StrCat("account ", key, ": ", count, " outputs of ", account.sent.size());
    }
  }
  for (const auto& [piece, count] : expected.letters) {
    if (letters[piece] != count) {
      return absl::StrCat("dead letters of '", piece, "': ", letters[piece], " of ", count);
    }
  }
  for (const auto& [key, last] : expected.sessions) {
    const std::string wrong = CheckLives(key, lives[key], last);
    if (!wrong.empty()) return wrong;
  }
  for (const auto& [key, expected_lives] : expected.visits) {
    const std::string wrong = CheckVisits(key, visits[key], expected_lives);
    if (!wrong.empty()) return wrong;
  }
  for (const auto& [key, counter] : expected.counters) {
    const std::string wrong = CheckCounter(key, counter, calls[key], fed[key]);
    if (!wrong.empty()) return wrong;
  }
  for (const std::string& wrong :
       {expected.peers.CheckOutputs(parts["peers"]), expected.meters.CheckOutputs(parts["meters"]),
        expected.gauges.CheckOutputs(parts["gauges"]),
        expected.reminders.CheckOutputs(parts["reminders"]),
        expected.dates.CheckOutputs(parts["dates"])}) {
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string CheckState(const Expected& expected, SimNode& node) {
  Rows rows;
  for (size_t i = 0; i < node.shards(); ++i) {
    grid::ShardLoop& loop = node.loop(i);
    std::string ignored;
    grid::ShardTurn turn(loop.shard(), grid::Ticket{}, ignored);
    std::vector<std::string> keys;
    turn.Scan(0, SIZE_MAX, [&](std::string_view key, grid::ValueType type) {
      if (type == grid::ValueType::kEntity) keys.emplace_back(key);
    });
    for (const std::string& key : keys) {
      grid::KeyTurn at = turn.Key(key, ignored);
      const grid::ClassSchema& entity_class = at.entity_class();
      std::vector<int64_t>& row = rows[key];
      for (const grid::FieldSchema& field : entity_class.row.fields) {
        AddNumbers(at.entity_row(), field, row);
      }
    }
  }
  for (const auto& [key, account] : expected.accounts) {
    const int64_t sent = account.sent.empty() ? 0 : account.sent.back();
    const std::vector<int64_t> wanted = {account.n, sent, account.received - sent, account.received,
                                         account.receipts};
    if (rows["account:" + key] != wanted) {
      std::string found;
      for (int64_t value : rows["account:" + key]) absl::StrAppend(&found, " ", value);
      std::string right;
      for (int64_t value : wanted) absl::StrAppend(&right, " ", value);
      return absl::StrCat("account ", key, " holds", found, "; it should", right);
    }
  }
  for (const auto& [key, account] : expected.accounts) {
    const std::vector<int64_t>& row = rows["relay:" + key];
    const int64_t last = row.empty() ? 0 : row[0];
    if (last != account.n) return absl::StrCat("relay ", key, " is at ", last, ", not ", account.n);
    const int64_t marked = row.size() < 2 ? 0 : row[1];
    if (marked != last - last % kMarkedEvery) {
      return absl::StrCat("relay ", key, " at ", last, " is marked at ", marked);
    }
  }
  for (const auto& [key, count] : expected.tallies) {
    const std::vector<int64_t>& row = rows["tally:" + key];
    if (row.size() != 1 || row[0] != count) {
      return absl::StrCat("tally ", key, " is ", row.empty() ? 0 : row[0], ", not ", count);
    }
  }
  for (const auto& [key, row] : rows) {
    const bool over = key.starts_with("session:") ||
                      (key.starts_with("visit:") && key != absl::StrCat("visit:", kLastVisit));
    if (over) return absl::StrCat(key, " has not expired");
  }
  for (const std::string& wrong :
       {expected.peers.CheckState(rows), expected.meters.CheckState(rows),
        expected.gauges.CheckState(rows), expected.reminders.CheckState(rows),
        expected.dates.CheckState(rows)}) {
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace bettong::sim
