// Owning reference to a Python object. All use needs the GIL, destruction included.
#pragma once

// Must come before any standard header.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string_view>
#include <utility>

namespace bettong::compute::python {

class Ref {
 public:
  Ref() = default;
  // Takes over a new reference; null is allowed (an error is set then).
  explicit Ref(PyObject* owned) : object_(owned) {}
  static Ref Borrowed(PyObject* object) {
    Py_XINCREF(object);
    return Ref(object);
  }

  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    PyObject* old = std::exchange(object_, std::exchange(other.object_, nullptr));
    Py_XDECREF(old);
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }

  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

// A str of valid UTF-8; null and an exception where it is not.
inline PyObject* MakeText(std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  uint64_t high = 0;
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    __builtin_memcpy(&word, at, 8);
    high |= word;
  }
  for (; at != end; ++at) high |= static_cast<unsigned char>(*at);
  auto size = static_cast<Py_ssize_t>(text.size());
  if (size < 2 || (high & 0x8080808080808080u) != 0) {
    return PyUnicode_DecodeUTF8(text.data(), size, nullptr);
  }
  PyObject* made = PyUnicode_New(size, 127);
  if (made != nullptr) __builtin_memcpy(PyUnicode_1BYTE_DATA(made), text.data(), text.size());
  return made;
}

// A key: bytes that are not UTF-8 survive the way through str and back.
inline PyObject* MakeKeyText(std::string_view key) {
  return PyUnicode_DecodeUTF8(key.data(), static_cast<Py_ssize_t>(key.size()), "surrogateescape");
}

// The UTF-8 of a str, borrowed from it; data() is null and an exception set where it has none.
inline std::string_view TextOf(PyObject* text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text, &size);
  return {data, data == nullptr ? 0 : static_cast<size_t>(size)};
}

}  // namespace bettong::compute::python
