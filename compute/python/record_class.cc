#include "compute/python/record_class.h"

#include "compute/python/collection_site.h"
#include "compute/python/value_converter.h"

namespace bettong::compute::python {

bool RecordClass::Load(PyObject* cls, const grid::RecordShape& shape) {
  Ref info = Attribute(cls, "__bettong_record__");
  if (info) element_ = Attribute(info.get(), "element");
  if (!element_) return false;
  for (const auto& [name, type] : shape.fields) {
    fields_.push_back({type, SlotOffset(cls, name)});
    if (fields_.back().slot < 0) return false;
  }
  cls_ = Ref::Borrowed(cls);
  return true;
}

PyObject* RecordClass::Make(const CollectionSite& site, std::string_view bytes) const {
  auto* type = reinterpret_cast<PyTypeObject*>(element_.get());
  Ref made(type->tp_alloc(type, 0));
  ByteReader in(bytes);
  for (size_t i = 0; made && i < fields_.size(); ++i) {
    PyObject* value = FromScalar(site, fields_[i].type, grid::ReadScalar(fields_[i].type, in));
    if (value == nullptr) return nullptr;
    SlotAt(made.get(), fields_[i].slot) = value;
  }
  return made.release();
}

bool RecordClass::Encode(const CollectionSite& site, PyObject* record, std::string& bytes) const {
  bytes.clear();
  ByteWriter out(bytes);
  for (const Field& field : fields_) {
    const Ref value = Ref::Borrowed(SlotAt(record, field.slot));
    grid::Scalar scalar;
    if (!value) {
      PyErr_Format(PyExc_AttributeError, "%s: a field of the %.200s was deleted", site.name.c_str(),
                   Py_TYPE(record)->tp_name);
      return false;
    }
    if (!ToScalar(site, field.type, value.get(), &scalar)) return false;
    grid::WriteScalar(field.type, scalar, out);
  }
  return true;
}

}  // namespace bettong::compute::python
