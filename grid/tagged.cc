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
      // Each element takes a byte at least: whoever loops over them comes to an end.
      if (item.size > in_.rest().size() / (item.tag == Tag::kMap ? 2 : 1)) in_.SetMalformed();
      break;
    default:
      in_.SetMalformed();
  }
  return in_.ok() ? item : TaggedItem{};
}

}  // namespace bettong::grid
