#include "grid/row_text.h"

#include <absl/strings/str_cat.h>

#include <bit>
#include <cmath>
#include <memory>
#include <vector>

#include "base/json_text.h"
#include "base/number_text.h"
#include "grid/containers/collection.h"
#include "grid/containers/timers.h"
#include "grid/containers/window.h"
#include "grid/value_text.h"

namespace bettong::grid {
namespace {

// One encoded value of a field; arrays with the elements that are named.
class FieldText {
 public:
  FieldText(const RowSchema& schema, bool json) : schema_(schema), json_(json) {}

  // False: malformed.
  bool Append(size_t index, ByteReader& in, std::string& out) const {
    if (index >= schema_.fields.size()) return false;
    const FieldSchema& field = schema_.fields[index];
    const auto present = in.Fixed<uint8_t>();
    if (!in.ok()) return false;
    if (present == 0) {
      out += "null";
      return field.optional;
    }
    switch (field.type) {
      case FieldType::kInt:
        AppendInt(in.Zigzag(), out);
        break;
      case FieldType::kFloat:
        AppendNumber(in.Fixed<double>(), out);
        break;
      case FieldType::kBool:
        out += in.Fixed<uint8_t>() != 0 ? "true" : "false";
        break;
      case FieldType::kText:
      case FieldType::kBytes:
        json_ ? AppendBytesJson(in.Bytes(), out) : AppendBytesText(in.Bytes(), out);
        break;
      case FieldType::kIntArray:
      case FieldType::kFloatArray:
        AppendArray(field, in, out);
        break;
      case FieldType::kWindow:
        return AppendWindow(field, present, in.Bytes(), out) && in.ok();
      case FieldType::kCollection:
        return AppendCollection(field, present, in.Bytes(), out) && in.ok();
      case FieldType::kTimers:
        return AppendTimers(present, in.Bytes(), out) && in.ok();
    }
    return in.ok();
  }

 private:
  void AppendNumber(double value, std::string& out) const {
    if (json_ && !std::isfinite(value)) {
      out += value > 0 ? "\"inf\"" : value < 0 ? "\"-inf\"" : "\"nan\"";
    } else {
      AppendFloat(value, out);
    }
  }

  void AppendArray(const FieldSchema& field, ByteReader& in, std::string& out) const {
    const uint64_t count = in.Varint();
    out.push_back('{');
    for (uint64_t i = 0; i < count && in.ok(); ++i) {
      const uint64_t element = in.Varint();
      const uint64_t raw = ReadNumber(IsFloat(field.type), in);
      if (!json_ && i >= kTextItemsMax) continue;
      if (i > 0) out += json_ ? "," : " ";
      absl::StrAppend(&out, json_ ? "\"" : "", element, json_ ? "\":" : ":");
      if (field.type == FieldType::kIntArray) {
        AppendInt(static_cast<int64_t>(raw), out);
      } else {
        AppendNumber(std::bit_cast<double>(raw), out);
      }
    }
    if (!json_ && count > kTextItemsMax) absl::StrAppend(&out, " … (", count, ")");
    out.push_back('}');
  }

  // The whole, or the values that a turn has added.
  bool AppendWindow(const FieldSchema& field, uint8_t present, std::string_view bytes,
                    std::string& out) const {
    if (present == 1) {
      const std::unique_ptr<Window> window = Window::Make(*field.shape);
      if (!bytes.empty() && !window->DecodeImage(bytes)) return false;
      window->AppendJson(out);
      return true;
    }
    std::vector<uint64_t> raws;
    if (!Window::ReadValues(field.window, bytes, raws)) return false;
    out += json_ ? "{\"add\":[" : "+[";
    for (size_t i = 0; i < raws.size(); ++i) {
      if (i > 0) out += json_ ? "," : " ";
      if (field.window.hashed != HashedValue::kNo) {  // of a text or bytes only this is there
        absl::StrAppend(&out, json_ ? "\"#" : "#", absl::Hex(raws[i], absl::kZeroPad16),
                        json_ ? "\"" : "");
      } else if (field.window.is_float) {
        AppendNumber(std::bit_cast<double>(raws[i]), out);
      } else {
        AppendInt(static_cast<int64_t>(raws[i]), out);
      }
    }
    out += json_ ? "]}" : "]";
    return true;
  }

  bool AppendCollection(const FieldSchema& field, uint8_t present, std::string_view bytes,
                        std::string& out) const {
    if (present != 1) return Collection::AppendOperations(field.collection, bytes, json_, out);
    const std::unique_ptr<Collection> collection = Collection::Make(field.collection);
    if (!bytes.empty() && !collection->DecodeImage(bytes)) return false;
    collection->AppendJson(out);
    return true;
  }

  // All of them, or what a turn has set and dropped.
  bool AppendTimers(uint8_t present, std::string_view bytes, std::string& out) const {
    if (present != 1) return Timers::AppendOperations(bytes, out);
    Timers timers;
    if (!bytes.empty() && !timers.DecodeImage(bytes)) return false;
    timers.AppendJson(out);
    return true;
  }

  const RowSchema& schema_;
  const bool json_;
};

}  // namespace

bool AppendRow(const RowSchema& schema, const LogEntry& change, bool json, std::string& out) {
  const FieldText text(schema, json);
  ByteReader in(change.bytes);
  const bool create = change.op == ChangeOp::kEntityCreate;
  const uint64_t count = create ? schema.fields.size() : in.Varint();
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t index = create ? i : in.Varint();
    if (!in.ok() || index >= schema.fields.size()) return false;
    const std::string& name = schema.fields[index].name;
    if (json) {
      if (i > 0) out.push_back(',');
      AppendJsonString(name, out);
      out.push_back(':');
    } else {
      absl::StrAppend(&out, " ", name, "=");
    }
    if (!text.Append(index, in, out)) return false;
  }
  return in.ok() && in.empty();
}

}  // namespace bettong::grid
