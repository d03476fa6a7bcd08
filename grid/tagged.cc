#include "grid/tagged.h"

namespace bettong::grid {

TaggedItem TaggedReader::Next() {
  TaggedItem item;
  item.tag = static_cast<Tag>(in_.Fixed<char>());
  if (!in_.ok()) return TaggedItem{};
  switch (item.tag) {
    case Tag::kNil:
    case Tag::kTrue:
    case Tag::kFalse:
      break;
    case Tag::kInt:
      item.integer = in_.Fixed<int64_t>();
      break;
    case Tag::kFloat:
      item.real = in_.Fixed<double>();
      break;
    case Tag::kText:
    case Tag::kBytes:
    case Tag::kError:
    case Tag::kStatus:
      item.bytes = in_.Bytes();
      break;
    case Tag::kList:
    case Tag::kMap:
      item.size = in_.Varint();
      break;
    default:
      return TaggedItem{};
  }
  return item;
}

}  // namespace bettong::grid
