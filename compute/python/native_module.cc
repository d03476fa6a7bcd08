#include "compute/python/native_module.h"

#include "compute/python/array_type.h"
#include "compute/python/collection_iterator.h"
#include "compute/python/columns_type.h"
#include "compute/python/entity_type.h"
#include "compute/python/mailbox_type.h"
#include "compute/python/stream_type.h"
#include "compute/python/window_type.h"

namespace bettong::compute::python {
namespace {

int AddType(PyObject* module, PyType_Spec* spec) {
  Ref type(PyType_FromModuleAndSpec(module, spec, nullptr));
  return type ? PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(type.get())) : -1;
}

int Exec(PyObject* module) {
  for (PyType_Spec* spec :
       {&kEntityBaseSpec, &kMailboxSpec, &kAddressSpec, &kColumnsSpec, &kStreamBaseSpec,
        &kArraySpec, &kWindowSpec, &kRingSpec, &kListSpec, &kMapSpec, &kSetSpec, &kCounterSpec,
        &kCollectionIteratorSpec, &kCollectionViewSpec}) {
    if (AddType(module, spec) < 0) return -1;
  }
  return 0;
}

PyModuleDef_Slot kSlots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(Exec)},
    {0, nullptr},
};

PyModuleDef kModule = {
    PyModuleDef_HEAD_INIT,
    "_bettong",
    "The native side of the bettong package.",
    0,
    nullptr,
    kSlots,
    nullptr,
    nullptr,
    nullptr,
};

}  // namespace

PyObject* InitNativeModule() { return PyModuleDef_Init(&kModule); }

}  // namespace bettong::compute::python
