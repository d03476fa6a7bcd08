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
