// Malformed tagged values: never a crash, and reading ends within the input's length.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "grid/tagged.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bettong::grid;
  TaggedReader in(std::string_view(reinterpret_cast<const char*>(data), size));
  std::string copy;
  TaggedWriter out(copy);
  size_t items = 0;
  uint64_t expected = 0;  // elements that the containers so far promise at most
  while (in.ok() && !in.empty()) {
    TaggedItem item = in.Next();
    if (!in.ok()) break;
    BETTONG_CHECK(++items <= size);
    switch (item.tag) {
      case Tag::kNil:
        out.Nil();
        break;
      case Tag::kTrue:
        out.Bool(true);
        break;
      case Tag::kFalse:
        out.Bool(false);
        break;
      case Tag::kInt:
        out.Int(item.integer);
        break;
      case Tag::kFloat:
        out.Float(item.real);
        break;
      case Tag::kText:
        out.Text(item.bytes);
        break;
      case Tag::kBytes:
        out.Bytes(item.bytes);
        break;
      case Tag::kList:
        out.List(item.size);
        expected = item.size;
        break;
      case Tag::kMap:
        out.Map(item.size);
        expected = 2 * item.size;
        break;
      case Tag::kError:
        out.Error(item.bytes);
        break;
      case Tag::kStatus:
        out.Status(item.bytes);
        break;
    }
    BETTONG_CHECK(expected <= size);
  }
  // What was taken reads back as the same values (varints may have been longer than needed).
  TaggedReader again(copy);
  for (size_t i = 0; i < items; ++i) again.Next();
  BETTONG_CHECK(again.empty() || !in.ok());
  return 0;
}
