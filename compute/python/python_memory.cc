#include "compute/python/python_memory.h"

#include <malloc.h>

#include <algorithm>

namespace bettong::compute::python {

// Python's allocators, and the ones that are put in their place. Blocks are those of malloc, which
// knows their size: they may have been made before and outlive everything here.
struct PythonMemory::Hooks {
  PyMemAllocatorEx raw, mem, object;
  PyObjectArenaAllocator arena;

  static Hooks& Get() {
    static Hooks hooks;
    return hooks;
  }

  static void* Malloc(void* ctx, size_t size) {
    const auto& before = *static_cast<PyMemAllocatorEx*>(ctx);
    PythonMemory& memory = PythonMemory::Get();
    if (!memory.Admit(size)) return nullptr;
    void* block = before.malloc(before.ctx, size);
    memory.Add(malloc_usable_size(block));
    return block;
  }

  static void* Calloc(void* ctx, size_t count, size_t size) {
    const auto& before = *static_cast<PyMemAllocatorEx*>(ctx);
    PythonMemory& memory = PythonMemory::Get();
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
    // A thread that is to call Python must get its state: Python ends the process otherwise.
    if (bytes != sizeof(PyThreadState) && !memory.Admit(bytes)) return nullptr;
    void* block = before.calloc(before.ctx, count, size);
    memory.Add(malloc_usable_size(block));
    return block;
  }

  static void* Realloc(void* ctx, void* block, size_t size) {
    const auto& before = *static_cast<PyMemAllocatorEx*>(ctx);
    PythonMemory& memory = PythonMemory::Get();
    const size_t old_size = malloc_usable_size(block);
    if (size > old_size && !memory.Admit(size - old_size)) return nullptr;
    void* moved = before.realloc(before.ctx, block, size);
    if (moved == nullptr) return nullptr;
    memory.Add(malloc_usable_size(moved));
    memory.Remove(old_size);
    return moved;
  }

  static void Free(void* ctx, void* block) {
    const auto& before = *static_cast<PyMemAllocatorEx*>(ctx);
    PythonMemory::Get().Remove(malloc_usable_size(block));
    before.free(before.ctx, block);
  }

  static void* AllocArena(void* ctx, size_t size) {
    const auto& before = *static_cast<PyObjectArenaAllocator*>(ctx);
    PythonMemory& memory = PythonMemory::Get();
    if (!memory.Admit(size)) return nullptr;
    void* arena = before.alloc(before.ctx, size);
    if (arena != nullptr) memory.Add(size);
    return arena;
  }

  static void FreeArena(void* ctx, void* arena, size_t size) {
    const auto& before = *static_cast<PyObjectArenaAllocator*>(ctx);
    PythonMemory::Get().Remove(size);
    before.free(before.ctx, arena, size);
  }

  static void Wrap(PyMemAllocatorDomain domain, PyMemAllocatorEx& before) {
    PyMemAllocatorEx counted{&before, Malloc, Calloc, Realloc, Free};
    PyMem_SetAllocator(domain, &counted);
  }
};

PythonMemory& PythonMemory::Get() {
  static PythonMemory memory;
  return memory;
}

void PythonMemory::Hook() {
  Hooks& hooks = Hooks::Get();
  PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &hooks.raw);
  PyMem_GetAllocator(PYMEM_DOMAIN_MEM, &hooks.mem);
  PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &hooks.object);
  // Python's checking allocators have a context; their blocks are not where malloc's begin.
  if (hooks.raw.ctx != nullptr || hooks.mem.ctx != nullptr || hooks.object.ctx != nullptr) return;
  Hooks::Wrap(PYMEM_DOMAIN_RAW, hooks.raw);
  // Small objects have arenas, which ask the raw domain for what is large, unless PYTHONMALLOC
  // says malloc for all.
  if (hooks.mem.malloc == hooks.raw.malloc) Hooks::Wrap(PYMEM_DOMAIN_MEM, hooks.mem);
  if (hooks.object.malloc == hooks.raw.malloc) Hooks::Wrap(PYMEM_DOMAIN_OBJ, hooks.object);
  PyObject_GetArenaAllocator(&hooks.arena);
  PyObjectArenaAllocator counted{&hooks.arena, Hooks::AllocArena, Hooks::FreeArena};
  PyObject_SetArenaAllocator(&counted);
  counts_ = true;
}

absl::Status PythonMemory::SetLimit(uint64_t bytes) {
  if (bytes != 0 && !counts_) {
    return absl::UnavailableError(
        "python: memory_limit cannot be kept with PYTHONMALLOC=debug or Python's development mode "
        "(PYTHONDEVMODE): unset them, or set python.memory_limit to 0");
  }
  limit_.store(bytes, std::memory_order_relaxed);
  return absl::OkStatus();
}

uint64_t PythonMemory::held_bytes() const {
  return static_cast<uint64_t>(std::max<int64_t>(held_.load(std::memory_order_relaxed), 0));
}

bool PythonMemory::Admit(size_t bytes) {
  const uint64_t limit = limit_.load(std::memory_order_relaxed);
  if (limit == 0 || !enforced_.load(std::memory_order_relaxed)) return true;
  const uint64_t held = held_bytes();
  if (held <= limit && bytes <= limit - held) return true;
  refused_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

}  // namespace bettong::compute::python
