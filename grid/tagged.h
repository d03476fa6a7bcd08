// A small self-describing value encoding: what a computation returns to CALL, what it is given as
// arguments, what a dead letter holds. Neutral to RESP2/RESP3, which the protocol layer makes of
// it.
//
//   'n'                      nil
//   't' / 'f'                true / false
//   'i' int64 LE             integer
//   'd' double LE            float
//   's' varint bytes         text (UTF-8)
//   'b' varint bytes         bytes
//   'a' varint n, n values   list
//   'm' varint n, n pairs    map
//   'e' varint bytes         error, as RESP words it ("ERR ...")
//   '+' varint bytes         simple status ("OK")
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace bettong::grid {

enum class Tag : char {
  kNil = 'n',
  kTrue = 't',
  kFalse = 'f',
  kInt = 'i',
  kFloat = 'd',
  kText = 's',
  kBytes = 'b',
  kList = 'a',
  kMap = 'm',
  kError = 'e',
  kStatus = '+',
};

class TaggedWriter {
 public:
  explicit TaggedWriter(std::string& out) : out_(out), bytes_(out) {}

  void Nil() { Put(Tag::kNil); }
  void Bool(bool value) { Put(value ? Tag::kTrue : Tag::kFalse); }
  void Int(int64_t value) { Put(Tag::kInt), bytes_.Fixed(value); }
  void Float(double value) { Put(Tag::kFloat), bytes_.Fixed(value); }
  void Text(std::string_view value) { Put(Tag::kText), bytes_.Bytes(value); }
  void Bytes(std::string_view value) { Put(Tag::kBytes), bytes_.Bytes(value); }
  void List(uint64_t size) { Put(Tag::kList), bytes_.Varint(size); }
  void Map(uint64_t pairs) { Put(Tag::kMap), bytes_.Varint(pairs); }
  void Error(std::string_view text) { Put(Tag::kError), bytes_.Bytes(text); }
  void Status(std::string_view text) { Put(Tag::kStatus), bytes_.Bytes(text); }

 private:
  void Put(Tag tag) { out_.push_back(static_cast<char>(tag)); }

  std::string& out_;
  ByteWriter bytes_;
};

// One decoded head; containers are followed by their elements in the same reader.
struct TaggedItem {
  Tag tag = Tag::kNil;
  int64_t integer = 0;     // kInt
  double real = 0;         // kFloat
  std::string_view bytes;  // kText, kBytes, kError, kStatus
  uint64_t size = 0;       // kList: elements, kMap: pairs
};

class TaggedReader {
 public:
  explicit TaggedReader(std::string_view in) : in_(in) {}

  // Answers nil once the input is exhausted or malformed; see ok().
  TaggedItem Next();
  bool ok() const { return in_.ok(); }
  bool empty() const { return in_.empty(); }

 private:
  ByteReader in_;
};

// The next value as JSON: bytes and errors as text, NaN and infinities as null.
void AppendTaggedJson(TaggedReader& in, std::string& out);

}  // namespace bettong::grid
