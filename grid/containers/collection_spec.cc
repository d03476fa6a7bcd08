#include "grid/containers/collection_spec.h"

#include <absl/strings/str_cat.h>

#include "base/bytes.h"

namespace bettong::grid {

std::string CollectionSpec::Check() const {
  if (elements_max == 0 || elements_max > kCollectionElementsMax) {
    return absl::StrCat("a collection has room for 1 to ", kCollectionElementsMax,
                        " elements, not ", elements_max);
  }
  if ((value == ScalarType::kRecord) != (record != nullptr)) return "a record has a shape";
  if (record != nullptr) {
    if (std::string wrong = record->Check(); !wrong.empty()) return wrong;
  }
  const bool whole_key =
      key == ScalarType::kInt || key == ScalarType::kText || key == ScalarType::kBytes;
  switch (kind) {
    case CollectionKind::kRing:
    case CollectionKind::kList:
      if (key == ScalarType::kNone && value != ScalarType::kNone) return "";
      break;
    case CollectionKind::kMap:
      if (whole_key && value != ScalarType::kNone) return "";
      break;
    case CollectionKind::kSet:
      if (key != ScalarType::kNone && key != ScalarType::kRecord && value == ScalarType::kNone)
        return "";
      break;
    case CollectionKind::kCounter:
      if (key == ScalarType::kText && value == ScalarType::kInt) return "";
      break;
  }
  return "there is no collection of such elements";
}

std::string CollectionSpec::Text() const {
  const std::string of_key(NameOf(key)),
      of_value(record != nullptr ? record->name : std::string(NameOf(value)));
  switch (kind) {
    case CollectionKind::kRing:
      return "Ring[" + of_value + "]";
    case CollectionKind::kList:
      return "List[" + of_value + "]";
    case CollectionKind::kMap:
      return "Map[" + of_key + ", " + of_value + "]";
    case CollectionKind::kSet:
      return "Set[" + of_key + "]";
    case CollectionKind::kCounter:
      break;
  }
  return "Counter";
}

void CollectionSpec::Encode(std::string& out) const {
  ByteWriter bytes(out);
  bytes.Fixed(kind);
  bytes.Fixed(key);
  bytes.Fixed(value);
  bytes.Varint(elements_max);
  if (record != nullptr) record->Encode(out);
}

std::optional<CollectionSpec> CollectionSpec::Decode(std::string_view encoded) {
  ByteReader in(encoded);
  CollectionSpec spec;
  spec.kind = in.Fixed<CollectionKind>();
  spec.key = in.Fixed<ScalarType>();
  spec.value = in.Fixed<ScalarType>();
  const uint64_t elements_max = in.Varint();
  const bool known = spec.kind >= CollectionKind::kRing && spec.kind <= CollectionKind::kCounter &&
                     spec.key <= ScalarType::kBytes && spec.value <= ScalarType::kRecord;
  if (spec.value == ScalarType::kRecord) {
    spec.record = std::make_shared<const RecordShape>(RecordShape::Decode(in));
  }
  if (!in.ok() || !in.empty() || !known || elements_max > kCollectionElementsMax) {
    return std::nullopt;
  }
  spec.elements_max = static_cast<uint32_t>(elements_max);
  if (!spec.Check().empty()) return std::nullopt;
  return spec;
}

}  // namespace bettong::grid
