#include "compute/inline_host.h"

#include <cstring>
#include <stdexcept>

#include "base/check.h"

namespace bettong::compute {

const grid::RowSchema& InlineTurn::schema() const {
  return catalog_.classes[call_.entity_class.value()].row;
}

char* InlineTurn::Writable(size_t field) {
  if (schema().fields[field].optional) schema().SetNull(row_, schema().fields[field], false);
  return at(field);
}

void InlineTurn::Emit(std::string_view stream, std::string_view json) {
  StreamId id;
  BETTONG_CHECK(catalog_.FindStream(stream, &id) != nullptr);
  if (!call_.outputs->Emit(id, json)) throw std::runtime_error("the turn emits more than 64 MiB");
}

void InlineHost::Define(ClassId entity_class, grid::TurnKind kind, size_t index, Method method) {
  methods_[{entity_class, kind, index}] = std::move(method);
}

TurnStatus InlineHost::Run(TurnCall& call) {
  auto method = methods_.find({call.entity_class, call.kind, call.index});
  BETTONG_CHECK(method != methods_.end());
  if (call.row == nullptr) {  // a key function, or one on a stream
    InlineTurn turn(*catalog_, call, nullptr, {});
    try {
      method->second(turn);
      return TurnStatus::kOk;
    } catch (const std::exception& error) {
      call.error.message = error.what();
      return TurnStatus::kRaised;
    }
  }
  const grid::RowSchema& schema = catalog_->classes[call.entity_class.value()].row;
  auto scratch = std::make_unique<char[]>(schema.row_bytes());
  schema.Copy(scratch.get(), call.row->row.get());
  containers_.resize(std::max(containers_.size(), schema.fields.size()));
  for (grid::ContainerTurn& changes : containers_) changes.logged = call.logged;
  InlineTurn turn(*catalog_, call, scratch.get(), containers_);
  const auto for_each_container = [&](const auto& visit) {
    for (size_t i = 0; i < schema.fields.size(); ++i) {
      if (containers_[i].changed()) visit(i, containers_[i]);
    }
  };
  try {
    method->second(turn);
  } catch (const std::exception& error) {
    for_each_container([&](size_t field, grid::ContainerTurn& changes) {
      grid::RowSchema::ContainerAt(scratch.get(), schema.fields[field])->RollBack(changes);
    });
    schema.DestroyCopy(scratch.get());
    call.error.message = error.what();
    return TurnStatus::kRaised;
  }
  // The delta is every field whose encoding differs.
  std::string fields, before, after;
  uint64_t changed = 0;
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    if (grid::IsContainer(schema.fields[i].type)) continue;
    before.clear();
    after.clear();
    schema.EncodeField(call.row->row.get(), i, before);
    schema.EncodeField(scratch.get(), i, after);
    if (before == after) continue;
    ++changed;
    ByteWriter(fields).Varint(i);
    fields += after;
  }
  for_each_container([&](size_t field, grid::ContainerTurn& changes) {
    if (!changes.operations.empty()) {
      ++changed;
      ByteWriter out(fields);
      grid::RowSchema::WriteOperations(field, changes.operations, out);
    }
    grid::Container* container = grid::RowSchema::ContainerAt(scratch.get(), schema.fields[field]);
    container->Commit(changes);
    call.container_bytes += container->SettleBytes();
  });
  if (changed > 0) {
    ByteWriter(*call.delta).Varint(changed);
    call.delta->append(fields);
  }
  schema.DestroyCopy(call.row->row.get());
  std::memcpy(call.row->row.get(), scratch.get(), schema.row_bytes());
  return TurnStatus::kOk;
}

}  // namespace bettong::compute
