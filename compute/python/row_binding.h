// One entity class's flyweight: a single instance whose slots are filled from the working row
// before a turn; after it a pointer comparison finds what changed, and only that is written to the
// row and into the delta. The row is untouched until every changed field is known to fit.
//
// Lifecycle of a turn: Hydrate, the method runs, then Commit or RollBack, then Release.
//
// User code may run while values are converted (__index__, __iter__) and whenever an object of a
// user's class is let go (__del__). So Commit converts everything first and holds on to what it
// converts; while it writes, no reference is given up; and what user code has left in the slots is
// let go by Release, when arrays and a kept instance are stale. Between turns the slots hold
// nothing but exact ints, floats, strs, bytes, bools and None, whose end runs no code.
#pragma once

#include "compute/python/ref.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "compute/python/array_type.h"
#include "compute/python/collection_site.h"
#include "compute/python/window_type.h"
#include "grid/row_schema.h"

namespace bettong::compute::python {

struct TurnState;

class RowBinding {
 public:
  // The native types of the module that the app imports.
  struct Types {
    PyTypeObject *array = nullptr, *window = nullptr;
    CollectionTypes collections;
  };
  RowBinding(TurnState* turn, const Types& types) : turn_(turn), types_(types) {}
  RowBinding(const RowBinding&) = delete;
  RowBinding& operator=(const RowBinding&) = delete;
  ~RowBinding();

  // The class of a record field, or of a collection field's records. Before Bind.
  void AddRecord(std::string field, PyObject* cls) {
    record_classes_.emplace_back(std::move(field), Ref::Borrowed(cls));
  }
  // `schema` is finished and outlives this. False and an exception on failure.
  bool Bind(PyObject* cls, PyObject* stale, const grid::RowSchema& schema);

  // The instance for a method's call, borrowed; null and an exception when out of memory. Arrays
  // can be used from here to Commit or RollBack. `logged`: see grid::ContainerTurn.
  PyObject* Hydrate(char* row, bool logged);
  // Appends the delta, if anything changed, and tells the call by how much containers have grown.
  // False and an exception (TypeError, OverflowError): the row is as before, but for array elements
  // and containers, which RollBack restores.
  bool Commit(char* row, std::string* delta);
  void RollBack();
  // What on_close is given: that window of the field; good until EndClosed.
  Ref MakeClosed(const char* row, size_t field, const grid::WindowView& closed);
  void EndClosed(const Ref& handle);
  // Lets go of an instance or arrays that user code has kept, which are stale from now on, and then
  // of whatever else it has left in the slots. Destructors of user code run.
  void Release();

 private:
  struct Scalar {
    grid::FieldType type;
    bool optional;
    bool reusable = false;  // `box` is exactly what Hydrate would make of `raw`
    uint32_t index;         // in the schema
    uint32_t row_offset;
    Py_ssize_t slot;   // byte offset in the instance, or in the record's
    size_t record;     // kNoRecord: of the entity itself
    uint64_t raw = 0;  // int, float, bool: what `box` stands for
    Ref box;           // the object that Hydrate put into the slot, of an exact built-in type;
                       // owned, so that no new object can have its address

    // Whether the box is what the row holds: the quick answer, of a number that is always there.
    bool StandsFor(const char* row) const {
      const bool is_number = type == grid::FieldType::kInt || type == grid::FieldType::kFloat;
      return is_number && reusable && !optional && raw == LoadUnaligned<uint64_t>(row + row_offset);
    }
  };
  // A field that is a record: scalars of the row ("pos.x"), whose slots are in an instance of its
  // own. A kept one is a value like any other.
  struct Record {
    std::string field;
    PyTypeObject* type;  // record_classes_ has it
    Py_ssize_t slot;     // in the entity's instance
    Ref instance;
    Ref assigned;  // in this commit: what the slot holds in its place
  };
  static constexpr size_t kNoRecord = SIZE_MAX;
  struct Array {
    uint32_t index;
    uint32_t row_offset;
    Py_ssize_t slot;
    std::unique_ptr<ArraySite> site;
    Ref handle;
    bool assigned = false;                 // in this commit
    std::unique_ptr<uint64_t[]> elements;  // what was assigned
  };
  struct ContainerField {
    uint32_t index;
    uint32_t row_offset;
    Py_ssize_t slot;
    PyTypeObject* type;
    std::unique_ptr<ContainerSite> site;
    bool is_window;
    Ref handle;
  };
  struct Change {
    Scalar* scalar;
    uint64_t raw;
    Ref value;
  };

  bool BindContainer(const grid::FieldSchema& field, uint32_t index, Py_ssize_t slot);
  bool BindScalar(const grid::FieldSchema& field, uint32_t index);
  PyObject* RecordClassOf(std::string_view field) const;
  bool MakeInstance();
  bool MakeRecord(Record& record);
  // The object that has the scalar's slot.
  PyObject* HolderOf(const Scalar& scalar) const {
    return scalar.record == kNoRecord ? instance_.get() : records_[scalar.record].instance.get();
  }
  bool CheckRecord(Record& record);

  bool IsNull(const Scalar& scalar, const char* row) const;
  bool Box(Scalar& scalar, const char* row);
  bool BoxNumber(Scalar& scalar, uint64_t raw);

  bool Convert(Scalar& scalar, Ref value, const char* row);
  bool ConvertNumber(const Scalar& scalar, PyObject* value, uint64_t* raw);
  bool ConvertText(const Scalar& scalar, PyObject* value, std::string_view* text);
  bool ConvertArray(Array& array, PyObject* value);
  bool AssignContainer(const ContainerField& field);
  bool Refuse(const Scalar& scalar, PyObject* value);
  void NameField(const std::string& field);

  void Write(Change& change, char* row, std::string* delta);
  uint32_t CountChanged(const ArraySite& site) const;
  void WriteArray(const Array& array, uint32_t changed, std::string* delta);
  void ReleaseSlots(std::vector<Ref>& left);
  bool DetachKept(Record& record, std::vector<Ref>& left);
  void ReleaseKept(std::vector<Ref>& left);

  TurnState* turn_;
  const Types types_;
  Ref cls_, stale_;
  const grid::RowSchema* schema_ = nullptr;
  Ref instance_;
  std::vector<std::pair<std::string, Ref>> record_classes_;  // by field
  std::vector<Scalar> scalars_;
  std::vector<Record> records_;
  std::vector<Array> arrays_;
  std::vector<ContainerField> containers_;
  WindowSite closed_;
  std::vector<Change> changes_;
  bool foreign_ = false;  // slots may hold something else than their box or handle
};

}  // namespace bettong::compute::python
