// Host["web-01"].method(...): a class's mailbox, an address in it, and a method of that, which
// sends a message when it is called. Made by the node for each class; user code never makes one.
#pragma once

#include "compute/python/ref.h"

#include "base/ids.h"

namespace bettong::compute::python {

struct ClassBinding;
struct TurnState;

extern PyType_Spec kMailboxSpec;
extern PyType_Spec kAddressSpec;

// Null and an exception on failure. `binding` is borrowed until UnbindMailbox.
Ref MakeMailbox(PyObject* cls, TurnState* turn, const ClassBinding& binding, StreamId messages);
// It sends no more.
void UnbindMailbox(PyObject* mailbox);

}  // namespace bettong::compute::python
