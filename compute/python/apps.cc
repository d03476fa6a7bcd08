#include "compute/python/apps.h"

#include "base/bytes.h"
#include "compute/python/conditions.h"
#include "compute/python/policies.h"
#include "compute/python/stream_type.h"

namespace bettong::compute::python {
namespace {

grid::EventFieldType EventTypeOf(Converter::Kind kind) {
  using grid::EventFieldType;
  switch (kind) {
    case Converter::Kind::kInt:
      return EventFieldType::kInt;
    case Converter::Kind::kFloat:
      return EventFieldType::kFloat;
    case Converter::Kind::kBool:
      return EventFieldType::kBool;
    case Converter::Kind::kText:
      return EventFieldType::kText;
    case Converter::Kind::kBytes:
      return EventFieldType::kBytes;
    case Converter::Kind::kList:
      return EventFieldType::kList;
    case Converter::Kind::kDict:
    case Converter::Kind::kEvent:
      return EventFieldType::kObject;
    case Converter::Kind::kAny:
      break;
  }
  return EventFieldType::kAny;
}

grid::FieldType FieldTypeOf(const std::string& kind, bool is_float) {
  using grid::FieldType;
  if (kind == "int") return FieldType::kInt;
  if (kind == "float") return FieldType::kFloat;
  if (kind == "bool") return FieldType::kBool;
  if (kind == "text") return FieldType::kText;
  if (kind == "bytes") return FieldType::kBytes;
  if (kind == "window") return FieldType::kWindow;
  if (kind == "collection") return FieldType::kCollection;
  return is_float ? FieldType::kFloatArray : FieldType::kIntArray;
}

// A field's default as it stands in changes. The SDK has checked type and range.
void EncodeDefault(grid::FieldSchema& field, PyObject* value) {
  ByteWriter bytes(field.default_value);
  auto number = [&](PyObject* item, bool real) {
    if (real) return bytes.Fixed(PyFloat_AsDouble(item));
    bytes.Zigzag(PyLong_AsLongLong(item));
  };
  if (value == Py_None) return;
  field.default_value.push_back('\1');
  switch (field.type) {
    case grid::FieldType::kInt:
    case grid::FieldType::kFloat:
      return number(value, field.type == grid::FieldType::kFloat);
    case grid::FieldType::kBool:
      return bytes.Fixed(static_cast<char>(value == Py_True));
    case grid::FieldType::kText:
      return bytes.Bytes(TextOf(value));
    case grid::FieldType::kBytes:
      return bytes.Bytes({PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))});
    case grid::FieldType::kIntArray:
    case grid::FieldType::kFloatArray:
    case grid::FieldType::kWindow:
    case grid::FieldType::kCollection:
    case grid::FieldType::kTimers:
      break;
  }
  auto size = static_cast<uint64_t>(PyTuple_GET_SIZE(value));  // 0: all elements are zero
  bytes.Varint(size);
  for (uint64_t i = 0; i < size; ++i) {
    bytes.Varint(i);
    number(PyTuple_GET_ITEM(value, static_cast<Py_ssize_t>(i)),
           field.type == grid::FieldType::kFloatArray);
  }
}

bool LoadWindow(PyObject* type, grid::WindowSpec& spec) {
  Ref described = Attribute(type, "window");
  Ref element = Attribute(type, "cls");
  if (!described || !element) return false;
  const auto number = [&](const char* name) {
    Ref value = Attribute(described.get(), name);
    return value ? PyLong_AsLongLong(value.get()) : 0;
  };
  const std::string kind = TextAttribute(described.get(), "kind");
  spec.kind = kind == "tumbling"  ? grid::WindowKind::kTumbling
              : kind == "session" ? grid::WindowKind::kSession
                                  : grid::WindowKind::kSliding;
  spec.closes = BoolAttribute(described.get(), "closes");
  spec.is_float = element.get() == reinterpret_cast<PyObject*>(&PyFloat_Type);
  spec.keeps = static_cast<uint8_t>(number("keeps"));
  spec.size_ms = number("size_ms");
  spec.pane_ms = number("pane_ms");
  spec.distinct_bits = static_cast<uint8_t>(number("distinct_bits"));
  spec.quantile_error_ppm = static_cast<uint32_t>(number("quantile_error_ppm"));
  if (element.get() == reinterpret_cast<PyObject*>(&PyUnicode_Type)) {
    spec.hashed = grid::HashedValue::kText;
  } else if (element.get() == reinterpret_cast<PyObject*>(&PyBytes_Type)) {
    spec.hashed = grid::HashedValue::kBytes;
  }
  return PyErr_Occurred() == nullptr;
}

grid::ScalarType ScalarTypeOf(const std::string& kind) {
  using grid::ScalarType;
  if (kind == "int") return ScalarType::kInt;
  if (kind == "float") return ScalarType::kFloat;
  if (kind == "bool") return ScalarType::kBool;
  if (kind == "text") return ScalarType::kText;
  if (kind == "bytes") return ScalarType::kBytes;
  return ScalarType::kNone;
}

// `record`: the class of its values, or None.
bool LoadCollection(PyObject* type, grid::CollectionSpec& spec, Ref& record) {
  using grid::CollectionKind;
  Ref described = Attribute(type, "collection");
  if (!described) return false;
  const std::string kind = TextAttribute(described.get(), "kind");
  spec.kind = kind == "ring"   ? CollectionKind::kRing
              : kind == "list" ? CollectionKind::kList
              : kind == "map"  ? CollectionKind::kMap
              : kind == "set"  ? CollectionKind::kSet
                               : CollectionKind::kCounter;
  spec.key = ScalarTypeOf(TextAttribute(described.get(), "key"));
  spec.value = ScalarTypeOf(TextAttribute(described.get(), "value"));
  Ref elements_max = Attribute(described.get(), "elements_max");
  if (!elements_max) return false;
  spec.elements_max = static_cast<uint32_t>(PyLong_AsUnsignedLong(elements_max.get()));
  record = Attribute(described.get(), "record");
  if (!record || record.get() == Py_None) return PyErr_Occurred() == nullptr;
  spec.value = grid::ScalarType::kRecord;
  Ref info = Attribute(record.get(), "__bettong_record__");
  Ref fields = info ? Attribute(info.get(), "fields") : Ref();
  if (!fields) return false;
  auto shape = std::make_shared<grid::RecordShape>();
  shape->name = TextAttribute(info.get(), "name");
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields.get()); ++i) {
    PyObject* field = PyTuple_GET_ITEM(fields.get(), i);
    Ref field_type = Attribute(field, "type");
    if (!field_type) return false;
    shape->fields.emplace_back(TextAttribute(field, "name"),
                               ScalarTypeOf(TextAttribute(field_type.get(), "kind")));
  }
  spec.record = std::move(shape);
  return PyErr_Occurred() == nullptr;
}

// Where the handlers' token buckets are. Handlers of one name have one bucket: by their name it is
// found again when the app has been changed. No attribute of a class has such a name.
void AddLimitFields(grid::ClassSchema& schema) {
  for (grid::HandlerSchema& handler : schema.handlers) {
    if (!handler.limit.limits()) continue;
    const std::string name = "limit:" + handler.method;
    if (schema.row.Find(name, &handler.limit.field) != nullptr) continue;
    handler.limit.field = schema.row.fields.size();
    grid::FieldSchema& field = schema.row.fields.emplace_back();
    field.name = name;
    field.type = grid::FieldType::kIntArray;
    field.array_size = grid::kRateStateElements;
    field.hidden = true;
  }
}

// What functions and handlers of classes have in common. False with an exception set.
bool LoadTaker(PyObject* described, HandlerBinding& binding, uint32_t& batch_max) {
  Ref stream = Attribute(described, "stream");
  Ref wanted = Attribute(described, "wanted");
  Ref batch = Attribute(described, "batch");
  binding.function = Attribute(described, "function");
  if (!stream || !wanted || !batch || !binding.function) return false;
  binding.stream = PyLong_AsSize_t(stream.get());
  binding.wanted = PyLong_AsUnsignedLongLongMask(wanted.get());
  batch_max = static_cast<uint32_t>(PyLong_AsUnsignedLong(batch.get()));
  if (batch_max > 0) {
    binding.takes = BoolAttribute(described, "columns") ? HandlerBinding::Takes::kColumns
                                                        : HandlerBinding::Takes::kList;
  }
  return PyErr_Occurred() == nullptr;
}

// The types stay as long as the module that holds them, which the SDK imports.
bool LoadTypes(PyObject* native, RowBinding::Types& types) {
  const auto load = [native](const char* name, PyTypeObject*& type) {
    Ref loaded = Attribute(native, name);
    type = reinterpret_cast<PyTypeObject*>(loaded.get());
  };
  CollectionTypes& of = types.collections;
  load("Array", types.array), load("Window", types.window);
  load("Ring", of.ring), load("List", of.list), load("Map", of.map), load("Set", of.set);
  load("Counter", of.counter);
  load("CollectionIterator", of.iterator), load("CollectionView", of.view);
  return PyErr_Occurred() == nullptr;
}

}  // namespace

bool Apps::Load(PyObject* description, const grid::Catalog* before, TurnState* turn,
                std::string& error) {
  Ref native(PyImport_ImportModule("_bettong"));
  RowBinding::Types types;
  if (!native || !LoadTypes(native.get(), types)) return false;
  Ref described_streams = Attribute(description, "streams");
  Ref described_classes = Attribute(description, "entities");
  streams = Ref(PyList_New(0));
  mailboxes = Ref(PyList_New(0));
  if (!described_streams || !described_classes || !streams || !mailboxes) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(described_streams.get()); ++i) {
    if (!LoadStream(PyList_GET_ITEM(described_streams.get(), i), turn)) return false;
  }
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(described_classes.get()); ++i) {
    PyObject* described = PyList_GET_ITEM(described_classes.get(), i);
    if (described == Py_None) {
      grid::ClassSchema& gone = catalog.classes.emplace_back();
      gone.name = before->classes[static_cast<size_t>(i)].name;
      gone.retired = true;
      classes.emplace_back();
    } else if (!LoadClass(described, turn, types)) {
      return false;
    }
  }
  Ref described_functions = Attribute(description, "functions");
  if (!described_functions) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(described_functions.get()); ++i) {
    if (!LoadFunction(PyList_GET_ITEM(described_functions.get(), i))) return false;
  }
  error = catalog.Finish();
  if (!error.empty()) return false;
  // The node's own have become streams, too.
  while (events.size() < catalog.streams.size()) events.emplace_back(nullptr);
  for (size_t i = 0; i < classes.size(); ++i) {
    if (classes[i] == nullptr) continue;
    PyObject* described = PyList_GET_ITEM(described_classes.get(), static_cast<Py_ssize_t>(i));
    Ref cls = Attribute(described, "cls");
    Ref stale = Attribute(described, "stale");
    if (!stale || !classes[i]->row.Bind(cls.get(), stale.get(), catalog.classes[i].row)) {
      return false;
    }
    classes[i]->prefix = catalog.classes[i].prefix;
    if (!BindMailbox(cls.get(), turn, *classes[i])) return false;
  }
  return PyErr_Occurred() == nullptr;
}

bool Apps::LoadStream(PyObject* described, TurnState* turn) {
  auto id = static_cast<uint16_t>(catalog.streams.size());
  grid::StreamSchema& schema = catalog.streams.emplace_back();
  schema.name = TextAttribute(described, "name");
  Ref event = Attribute(described, "event");
  Ref objects = Attribute(described, "objects");
  if (!event || !objects) return false;
  schema.retired = PyList_GET_SIZE(objects.get()) == 0;
  const EventClass* event_class = nullptr;
  if (event.get() != Py_None) {
    event_class = EventClass::Find(event.get(), event_classes);
    if (event_class == nullptr) return false;
    schema.event.name = event_class->type()->tp_name;
    for (const EventClass::Field& field : event_class->fields()) {
      schema.event.fields.push_back({field.name, EventTypeOf(field.converter.kind()),
                                     field.converter.optional(), field.required,
                                     field.default_json});
    }
    if (event_class->time_field() >= 0) {
      schema.event.time_field = static_cast<size_t>(event_class->time_field());
    }
  }
  Ref max_age_ms = Attribute(described, "max_age_ms");
  if (!max_age_ms) return false;
  if (max_age_ms.get() != Py_None) schema.max_age_ms = PyLong_AsLongLong(max_age_ms.get());
  Ref lateness_ms = Attribute(described, "lateness_ms");
  if (!lateness_ms) return false;
  if (lateness_ms.get() != Py_None) schema.lateness_ms = PyLong_AsLongLong(lateness_ms.get());
  Ref late_events = Attribute(described, "late_events");
  if (!late_events) return false;
  if (late_events.get() != Py_None && TextOf(late_events.get()) == "dead-letter") {
    schema.late_events = grid::LateEvents::kDeadLetter;
  }
  events.emplace_back(event_class);
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects.get()); ++i) {
    PyObject* object = PyList_GET_ITEM(objects.get(), i);
    auto* stream = reinterpret_cast<StreamObject*>(object);
    stream->turn = turn;
    stream->stream = StreamId(id);
    // What another app declared about the same stream holds here too.
    Py_XSETREF(stream->event, Py_NewRef(event.get()));
    if (PyList_Append(streams.get(), object) < 0) return false;
  }
  return true;
}

bool Apps::LoadClass(PyObject* described, TurnState* turn, const RowBinding::Types& types) {
  auto binding = std::make_unique<ClassBinding>(turn, types);
  grid::ClassSchema& schema = catalog.classes.emplace_back();
  Ref info = Attribute(described, "info");
  Ref handlers = Attribute(described, "handlers");
  Ref commands = Attribute(described, "commands");
  if (!info || !handlers || !commands) return false;
  schema.name = TextAttribute(info.get(), "name");
  schema.prefix = TextAttribute(info.get(), "prefix");
  if (TextAttribute(info.get(), "clock") == "event") schema.clock = grid::TtlClock::kEvent;
  Ref ttl_ms = Attribute(info.get(), "ttl_ms");
  if (ttl_ms && ttl_ms.get() != Py_None) schema.ttl_ms = PyLong_AsLongLong(ttl_ms.get());
  binding->ttl_ms = schema.ttl_ms;
  if (!LoadFailurePolicy(described, schema.on_error)) return false;
  if (!LoadFields(info.get(), schema.row, binding->row)) return false;
  if (BoolAttribute(described, "timers")) {
    grid::FieldSchema& timers = schema.row.fields.emplace_back();
    timers.name = "timers";
    timers.type = grid::FieldType::kTimers;
  }
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(handlers.get()); ++i) {
    if (!LoadHandler(PyList_GET_ITEM(handlers.get(), i), *binding, schema)) return false;
  }
  AddLimitFields(schema);
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(commands.get()); ++i) {
    if (!LoadCommand(PyList_GET_ITEM(commands.get(), i), *binding, schema)) return false;
  }
  if (!LoadMethod(described, "on_create", schema.name, binding->on_create)) return false;
  if (!LoadMethod(described, "on_expire", schema.name, binding->on_expire)) return false;
  if (!LoadMethod(described, "on_close", schema.name, binding->on_close)) return false;
  if (!LoadMethod(described, "migrate", schema.name, binding->migrate)) return false;
  if (!LoadMethods(described, schema.name, *binding)) return false;
  schema.has_migrate = static_cast<bool>(binding->migrate.function);
  schema.has_on_create = static_cast<bool>(binding->on_create.function);
  schema.has_on_expire = static_cast<bool>(binding->on_expire.function);
  schema.has_on_close = static_cast<bool>(binding->on_close.function);
  classes.push_back(std::move(binding));
  return PyErr_Occurred() == nullptr;
}

// A record is a field of the row for each of its own: "pos.x".
bool Apps::LoadRecord(PyObject* described, PyObject* type, PyObject* initial,
                      grid::RowSchema& row) {
  Ref cls = Attribute(type, "cls");
  Ref info = cls ? Attribute(cls.get(), "__bettong_record__") : Ref();
  Ref fields = info ? Attribute(info.get(), "fields") : Ref();
  if (!fields) return false;
  const std::string name = TextAttribute(described, "name");
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields.get()); ++i) {
    PyObject* part = PyTuple_GET_ITEM(fields.get(), i);
    Ref part_type = Attribute(part, "type");
    if (!part_type) return false;
    grid::FieldSchema& field = row.fields.emplace_back();
    field.name = name + "." + TextAttribute(part, "name");
    field.type = FieldTypeOf(TextAttribute(part_type.get(), "kind"), /*is_float=*/false);
    EncodeDefault(field, PyTuple_GET_ITEM(initial, i));
  }
  return PyErr_Occurred() == nullptr;
}

bool Apps::LoadFields(PyObject* info, grid::RowSchema& row, RowBinding& binding) {
  Ref fields = Attribute(info, "fields");
  if (!fields) return false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields.get()); ++i) {
    PyObject* described = PyTuple_GET_ITEM(fields.get(), i);
    Ref type = Attribute(described, "type");
    Ref initial = Attribute(described, "default");
    if (!type || !initial) return false;
    Ref element = Attribute(type.get(), "cls");
    Ref size = Attribute(type.get(), "size");
    if (!element || !size) return false;
    if (TextAttribute(type.get(), "kind") == "record") {
      binding.AddRecord(TextAttribute(described, "name"), element.get());
      if (!LoadRecord(described, type.get(), initial.get(), row)) return false;
      continue;
    }
    grid::FieldSchema& field = row.fields.emplace_back();
    field.name = TextAttribute(described, "name");
    field.type = FieldTypeOf(TextAttribute(type.get(), "kind"),
                             element.get() == reinterpret_cast<PyObject*>(&PyFloat_Type));
    field.optional = BoolAttribute(type.get(), "optional");
    field.array_size = static_cast<uint32_t>(PyLong_AsUnsignedLong(size.get()));
    if (field.type == grid::FieldType::kWindow) {
      if (!LoadWindow(type.get(), field.window)) return false;
      continue;
    }
    if (field.type == grid::FieldType::kCollection) {
      Ref record;
      if (!LoadCollection(type.get(), field.collection, record)) return false;
      if (field.collection.record != nullptr) binding.AddRecord(field.name, record.get());
      continue;
    }
    EncodeDefault(field, initial.get());
  }
  return PyErr_Occurred() == nullptr;
}

bool Apps::LoadFunction(PyObject* described) {
  HandlerBinding& binding = functions.emplace_back();
  grid::FunctionSchema& schema = catalog.functions.emplace_back();
  if (!LoadTaker(described, binding, schema.batch_max)) return false;
  binding.name = schema.name = TextAttribute(described, "name");
  schema.stream = StreamId(static_cast<uint16_t>(binding.stream));
  schema.late = BoolAttribute(described, "late");
  return LoadFailurePolicy(described, schema.on_error) && PyErr_Occurred() == nullptr;
}

bool Apps::LoadHandler(PyObject* described, ClassBinding& binding, grid::ClassSchema& schema) {
  Ref key = Attribute(described, "key");
  HandlerBinding& handler = binding.handlers.emplace_back();
  grid::HandlerSchema& entry = schema.handlers.emplace_back();
  if (!key || !LoadTaker(described, handler, entry.batch_max)) return false;
  entry.method = TextAttribute(described, "method");
  entry.late = BoolAttribute(described, "late");
  if (!LoadFailurePolicy(described, entry.on_error)) return false;
  if (!LoadRateLimit(described, entry.limit)) return false;
  handler.name = schema.name + "." + entry.method;
  entry.stream = StreamId(static_cast<uint16_t>(handler.stream));
  entry.has_code = BoolAttribute(described, "has_code");
  if (!LoadFeeds(described, schema.row, entry)) return false;
  if (!LoadCondition(described, schema.row, entry.when)) return false;
  if (!PyUnicode_Check(key.get())) {
    entry.key.kind = grid::KeySpec::Kind::kFunction;
    handler.key_function = std::move(key);
    return PyErr_Occurred() == nullptr;
  }
  entry.key.field_name = std::string(TextOf(key.get()));
  const auto& fields = catalog.streams[handler.stream].event.fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name == entry.key.field_name) entry.key.field = i;
  }
  return PyErr_Occurred() == nullptr;
}

bool Apps::LoadFeeds(PyObject* described, const grid::RowSchema& row,
                     grid::HandlerSchema& handler) {
  Ref feeds = Attribute(described, "feeds");
  if (!feeds) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(feeds.get()); ++i) {
    PyObject* each = PyList_GET_ITEM(feeds.get(), i);
    Ref field = Attribute(each, "field");
    Ref scale = Attribute(each, "scale");
    if (!field || !scale) return false;
    grid::WindowFeed& feed = handler.feeds.emplace_back();
    row.Find(TextAttribute(each, "window"), &feed.window);
    if (field.get() != Py_None) feed.slot = PyLong_AsSize_t(field.get());
    if (scale.get() != Py_None) feed.scale = PyLong_AsLongLong(scale.get());
  }
  return PyErr_Occurred() == nullptr;
}

bool Apps::LoadMethod(PyObject* described, const char* name, const std::string& class_name,
                      MethodBinding& method) {
  method.name = class_name + "." + name;
  Ref function = Attribute(described, name);
  if (!function) return false;
  if (function.get() != Py_None) method.function = std::move(function);
  return true;
}

bool Apps::LoadCommand(PyObject* described, ClassBinding& binding, grid::ClassSchema& schema) {
  grid::CommandSchema& entry = schema.commands.emplace_back();
  entry.name = TextAttribute(described, "name");
  entry.create = BoolAttribute(described, "create");
  entry.returns = TextAttribute(described, "returns");
  CallableBinding& command = binding.commands.emplace_back();
  command.name = schema.name + "." + entry.name;
  command.function = Attribute(described, "function");
  Ref parameters = Attribute(described, "parameters");
  if (!parameters || !command.function ||
      !command.parameters.Load(command.name, parameters.get(), event_classes)) {
    return false;
  }
  entry.parameters = command.parameters.Schema();
  return PyErr_Occurred() == nullptr;
}

// Those that timers and messages may run, by name.
bool Apps::LoadMethods(PyObject* described, const std::string& class_name, ClassBinding& binding) {
  Ref methods = Attribute(described, "methods");
  if (!methods) return false;
  PyObject *name = nullptr, *each = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(methods.get(), &at, &name, &each);) {
    CallableBinding& method = binding.methods[std::string(TextOf(name))];
    method.name = class_name + "." + std::string(TextOf(name));
    method.function = Attribute(each, "function");
    method.unsendable = TextAttribute(each, "unsendable");
    Ref parameters = Attribute(each, "parameters");
    if (!parameters) return false;
    if (parameters.get() != Py_None &&
        !method.parameters.Load(method.name, parameters.get(), event_classes)) {
      return false;
    }
  }
  return PyErr_Occurred() == nullptr;
}

bool Apps::BindMailbox(PyObject* cls, TurnState* turn, ClassBinding& binding) {
  Ref mailbox = MakeMailbox(cls, turn, binding, catalog.messages);
  return mailbox && PyObject_SetAttrString(cls, "__bettong_mailbox__", mailbox.get()) == 0 &&
         PyList_Append(mailboxes.get(), mailbox.get()) == 0;
}

void Apps::Unbind() {
  for (Py_ssize_t i = 0; streams && i < PyList_GET_SIZE(streams.get()); ++i) {
    reinterpret_cast<StreamObject*>(PyList_GET_ITEM(streams.get(), i))->turn = nullptr;
  }
  for (Py_ssize_t i = 0; mailboxes && i < PyList_GET_SIZE(mailboxes.get()); ++i) {
    UnbindMailbox(PyList_GET_ITEM(mailboxes.get(), i));
  }
}

}  // namespace bettong::compute::python
