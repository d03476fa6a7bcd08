// What SCHEMA answers: the apps' declarations as maps.
#pragma once

#include "grid/catalog.h"
#include "protocol/reply_writer.h"

namespace bettong::protocol {

// Names and prefixes of all classes, names of all streams.
void ReplyCatalog(const grid::Catalog& catalog, ReplyWriter& reply);
// One class: fields, TTL, commands, handlers.
void ReplyClass(const grid::Catalog& catalog, const grid::ClassSchema& entity_class,
                ReplyWriter& reply);

}  // namespace bettong::protocol
