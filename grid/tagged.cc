#include "grid/tagged.h"

#include <cmath>

#include "base/json_text.h"

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

void AppendTaggedJson(TaggedReader& in, std::string& out) {
  const TaggedItem item = in.Next();
  switch (item.tag) {
    case Tag::kNil:
      out += "null";
      return;
    case Tag::kTrue:
      out += "true";
      return;
    case Tag::kFalse:
      out += "false";
      return;
    case Tag::kInt:
      out += std::to_string(item.integer);
      return;
    case Tag::kFloat:
      std::isfinite(item.real) ? AppendJsonFloat(item.real, out) : void(out += "null");
      return;
    case Tag::kText:
    case Tag::kBytes:
    case Tag::kError:
    case Tag::kStatus:
      return AppendJsonString(item.bytes, out);
    case Tag::kList:
      out.push_back('[');
      for (uint64_t i = 0; i < item.size && in.ok(); ++i) {
        if (i > 0) out.push_back(',');
        AppendTaggedJson(in, out);
      }
      out.push_back(']');
      return;
    case Tag::kMap:
      out.push_back('{');
      for (uint64_t i = 0; i < item.size && in.ok(); ++i) {
        if (i > 0) out.push_back(',');
        std::string name;
        AppendTaggedJson(in, name);
        name.starts_with('"') ? void(out += name) : AppendJsonString(name, out);
        out.push_back(':');
        AppendTaggedJson(in, out);
      }
      out.push_back('}');
      return;
  }
}

}  // namespace bettong::grid
