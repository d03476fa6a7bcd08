"""What Bettong raises into user code."""

from __future__ import annotations


class HandlerTimeout(BaseException):
    """Raised inside a handler that has run for longer than ``handler_timeout``.

    Not an ``Exception``, so that ``except Exception`` in a loop cannot swallow it.
    """


class StaleEntityError(RuntimeError):
    """An entity, or an array of one, was used after the turn it belonged to had ended.

    Entities are views of native state that are lent to one turn. Keep values, not the object.
    """


class OutsideTurnError(RuntimeError):
    """Something that only works while a handler runs (``emit``, ``self.key``) was used outside."""


class StreamError(Exception):
    """Base of what ``Sender`` and ``Receiver`` raise."""


class BufferFull(StreamError):
    """``Sender.send`` had no room for the event: it was not taken, and has no id."""


class NotDurable(StreamError):
    """A ``with Sender(...)`` block ended before all that was sent had been acknowledged.

    Events above ``Sender.durable`` may or may not have been processed, and are not kept any more.
    """


class StreamClosed(StreamError):
    """A ``Sender`` or ``Receiver`` was used after ``close()``, or in a forked child."""


class SenderRefused(StreamError):
    """The node does not take this sender's events; connecting again would be no use.

    Raised by every ``send`` and ``flush`` from then on. Its own class when the node said `refused`,
    or something that this version does not know; otherwise one of its subclasses.
    """


class SenderFenced(SenderRefused):
    """Another process sends as this source, with a newer incarnation: stop."""


class SenderDenied(SenderRefused):
    """A wrong token, or a source that the node does not know."""


class VersionMismatch(SenderRefused):
    """The node speaks another version of the protocol."""


class ProtocolViolation(SenderRefused):
    """The two do not understand each other (`malformed`, `order`): a bug, or not a Bettong node."""


class StoreError(StreamError):
    """The ``store`` of a ``Receiver`` cannot be used, or its transaction was ended by others."""
