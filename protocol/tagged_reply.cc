#include "protocol/tagged_reply.h"

#include "grid/tagged.h"
#include "protocol/reply_writer.h"

namespace bettong::protocol {

void EncodeTagged(std::string_view tagged, bool resp3, std::string& out) {
  using grid::Tag;
  grid::TaggedReader reader(tagged);
  ReplyWriter reply(out, resp3);
  do {
    const grid::TaggedItem item = reader.Next();
    switch (item.tag) {
      case Tag::kNil:
        reply.Null();
        break;
      case Tag::kTrue:
        reply.Bool(true);
        break;
      case Tag::kFalse:
        reply.Bool(false);
        break;
      case Tag::kInt:
        reply.Integer(item.integer);
        break;
      case Tag::kFloat:
        reply.Double(item.real);
        break;
      case Tag::kText:
      case Tag::kBytes:
        reply.Bulk(item.bytes);
        break;
      case Tag::kList:
        reply.Array(item.size);
        break;
      case Tag::kMap:
        reply.Map(item.size);
        break;
      case Tag::kError:
        reply.Error(item.bytes);
        break;
      case Tag::kStatus:
        reply.Status(item.bytes);
        break;
    }
  } while (reader.ok() && !reader.empty());
}

}  // namespace bettong::protocol
