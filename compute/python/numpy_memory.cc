#include "compute/python/numpy_memory.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>

#include "compute/python/python_memory.h"

namespace bettong::compute::python {
namespace {

// numpy's ABI, as its C-API documentation describes it (NEP 49): the table of functions in the
// capsule _ARRAY_API, and what a handler looks like.
constexpr int kFeatureVersionSlot = 211, kSetHandlerSlot = 304;
constexpr unsigned int kFirstWithHandlers = 0x0f;  // numpy 1.22

struct Allocator {
  void* ctx;
  void* (*malloc)(void* ctx, size_t size);
  void* (*calloc)(void* ctx, size_t count, size_t size);
  void* (*realloc)(void* ctx, void* block, size_t size);
  void (*free)(void* ctx, void* block, size_t size);
};

struct Handler {
  char name[127];
  uint8_t version;
  Allocator allocator;
};
static_assert(offsetof(Handler, allocator) == 128);

// The smallest block is a byte: null would be a failure.
void* Malloc(void*, size_t size) {
  PythonMemory& memory = PythonMemory::Get();
  if (!memory.Admit(size)) return nullptr;
  void* block = std::malloc(std::max<size_t>(size, 1));
  memory.Add(malloc_usable_size(block));
  return block;
}

void* Calloc(void*, size_t count, size_t size) {
  PythonMemory& memory = PythonMemory::Get();
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes) || !memory.Admit(bytes)) return nullptr;
  void* block = std::calloc(std::max<size_t>(bytes, 1), 1);
  memory.Add(malloc_usable_size(block));
  return block;
}

void* Realloc(void*, void* block, size_t size) {
  PythonMemory& memory = PythonMemory::Get();
  const size_t old_size = malloc_usable_size(block);
  if (size > old_size && !memory.Admit(size - old_size)) return nullptr;
  void* moved = std::realloc(block, std::max<size_t>(size, 1));
  if (moved == nullptr) return nullptr;
  memory.Add(malloc_usable_size(moved));
  memory.Remove(old_size);
  return moved;
}

void Free(void*, void* block, size_t) {
  PythonMemory::Get().Remove(malloc_usable_size(block));
  std::free(block);
}

Handler counted = {"bettong", 1, {nullptr, Malloc, Calloc, Realloc, Free}};

PyObject* LoadedModule(const char* name) {
  return PyDict_GetItemString(PyImport_GetModuleDict(), name);
}

}  // namespace

void NumpyMemory::Look() {
  // Of numpy 2, and of numpy 1.
  PyObject* module = LoadedModule("numpy._core._multiarray_umath");
  if (module == nullptr) module = LoadedModule("numpy.core._multiarray_umath");
  if (module == nullptr) return;
  Ref capsule(PyObject_GetAttrString(module, "_ARRAY_API"));
  auto** table =
      capsule ? static_cast<void**>(PyCapsule_GetPointer(capsule.get(), nullptr)) : nullptr;
  if (table == nullptr) return PyErr_Clear();  // its import is still under way
  installed_ = true;
  const auto feature_version = reinterpret_cast<unsigned int (*)()>(table[kFeatureVersionSlot]);
  if (feature_version() < kFirstWithHandlers) return;
  const auto set_handler = reinterpret_cast<PyObject* (*)(PyObject*)>(table[kSetHandlerSlot]);
  Ref handler(PyCapsule_New(&counted, "mem_handler", nullptr));
  Ref before(handler ? set_handler(handler.get()) : nullptr);
  PyErr_Clear();  // without memory for a capsule numpy's arrays stay uncounted
}

}  // namespace bettong::compute::python
