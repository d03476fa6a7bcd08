"""What a condition (``when=``) is made of: operands and operators that note what is done with them.

A condition is no Python when it runs: the engine evaluates it. So its function is called once, with
objects that stand for the entity and the event (``_trace.py``), and what it answers is an expression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from bettong._valuetypes import INT_MAX, INT_MIN

TERMS_MAX = 256
DEPTH_MAX = 32
_TEXT_MAX = 60


class ConditionError(TypeError):
    """The message is whole: it names class and handler."""


@dataclass(frozen=True, slots=True)
class Term:
    """An operand or an operator; a condition is a list of them in postfix order.

    Read by the native host: the kinds are part of that contract.
    """

    kind: str
    value: object = None
    """A constant; of "event" the field's index; of "field" and "window" the entity's field."""
    part: str = ""
    """Of "window", what is read of it."""


class Symbol:
    """Stands for something while a condition is traced. By itself it refuses whatever is done with it."""

    __slots__ = ("_bettong_text", "_bettong_what", "_bettong_where")

    _bettong_where: str
    _bettong_text: str
    _bettong_what: str

    def __init__(self, where: str, text: str, what: str) -> None:
        for name, value in (("where", where), ("text", text), ("what", what)):
            object.__setattr__(self, f"_bettong_{name}", value)

    # numpy's scalars leave operators with one of these to it.
    __array_ufunc__ = None

    def __repr__(self) -> str:
        return self._bettong_text

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        refuse(
            self,
            f"uses {self!r}.{name}: {self!r} is {self._bettong_what}, and a condition runs without "
            "Python and calls no methods",
        )

    def __setattr__(self, name: str, value: object) -> None:
        refuse(self, f"assigns {self!r}.{name}, and a condition changes nothing")

    def __delattr__(self, name: str) -> None:
        refuse(self, f"deletes {self!r}.{name}, and a condition changes nothing")

    def __bool__(self) -> bool:  # noqa: PLE0304
        refuse(
            self,
            f"asks whether {self!r} is true, which is not known while it is traced: say & and | "
            "instead of and, or, if and in, with parentheses around comparisons, as "
            "(a > 1) & (b < 2); a < b < c is (a < b) & (b < c), and not is the opposite comparison",
        )


def refuse(symbol: Symbol, what: str) -> NoReturn:
    raise ConditionError(f"{symbol._bettong_where}: when= {what}")


class Expression(Symbol):
    """A value that the engine reads or computes.

    ``type`` is bool, number, text or none, of the constant None; ``optional``: it may be None.
    """

    __slots__ = (
        "_bettong_depth",
        "_bettong_optional",
        "_bettong_terms",
        "_bettong_type",
    )

    _bettong_terms: tuple[Term, ...]
    _bettong_type: str
    _bettong_optional: bool
    _bettong_depth: int

    def __init__(
        self,
        where: str,
        text: str,
        type_: str,
        optional: bool,
        terms: tuple[Term, ...],
        depth: int = 1,
    ) -> None:
        super().__init__(where, _clipped(text), _WHAT[type_])
        for name, value in (
            ("type", type_),
            ("optional", optional),
            ("terms", terms),
            ("depth", depth),
        ):
            object.__setattr__(self, f"_bettong_{name}", value)
        if len(terms) > TERMS_MAX:
            refuse(self, f"has more than {TERMS_MAX} operands and operators")
        if depth > DEPTH_MAX:
            refuse(
                self,
                f"is nested too deeply: more than {DEPTH_MAX} operands wait for their operators at "
                "once; put what is nested first, as (a + b) + c for c + (a + b)",
            )

    def __hash__(self) -> int:  # Python takes it away from a class that has __eq__
        return super().__hash__()

    def __neg__(self) -> Expression:
        _check_number(self, self, f"-{self!r}")
        return Expression(
            self._bettong_where,
            f"-{self!r}",
            "number",
            self._bettong_optional,
            (*self._bettong_terms, Term("negate")),
            self._bettong_depth,
        )

    def __add__(self, other: object) -> Expression:
        return _computed(self, "add", "+", self, other)

    def __radd__(self, other: object) -> Expression:
        return _computed(self, "add", "+", other, self)

    def __sub__(self, other: object) -> Expression:
        return _computed(self, "subtract", "-", self, other)

    def __rsub__(self, other: object) -> Expression:
        return _computed(self, "subtract", "-", other, self)

    def __mul__(self, other: object) -> Expression:
        return _computed(self, "multiply", "*", self, other)

    def __rmul__(self, other: object) -> Expression:
        return _computed(self, "multiply", "*", other, self)

    def __lt__(self, other: object) -> Expression:
        return _ordered(self, "less", "<", other)

    def __le__(self, other: object) -> Expression:
        return _ordered(self, "less_equal", "<=", other)

    def __gt__(self, other: object) -> Expression:
        return _ordered(self, "greater", ">", other)

    def __ge__(self, other: object) -> Expression:
        return _ordered(self, "greater_equal", ">=", other)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return _equal(self, "equal", "==", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return _equal(self, "not_equal", "!=", other)

    def __and__(self, other: object) -> Expression:
        return _joined(self, "and", "&", self, other)

    def __rand__(self, other: object) -> Expression:
        return _joined(self, "and", "&", other, self)

    def __or__(self, other: object) -> Expression:
        return _joined(self, "or", "|", self, other)

    def __ror__(self, other: object) -> Expression:
        return _joined(self, "or", "|", other, self)


_WHAT = {
    "bool": "a bool",
    "number": "a number",
    "text": "a text",
    "none": "None",
}


def terms_of(where: str, answer: object) -> list[Term]:
    """The condition that a traced function has answered; raises where it is none."""
    if isinstance(answer, bool):
        raise ConditionError(
            f"{where}: when= is always {answer!r}: a condition compares what the event or the entity "
            "has; note that `is` compares at once, and == None does not"
        )
    if not isinstance(answer, Symbol):
        raise ConditionError(
            f"{where}: when= answers {_clipped(repr(answer))}; a condition is a comparison, a bool "
            "field, or several of them with & and |"
        )
    if not isinstance(answer, Expression) or answer._bettong_type != "bool":
        refuse(
            answer,
            f"answers {answer!r}, {answer._bettong_what}; a condition is a comparison, a bool field, "
            "or several of them with & and |",
        )
    if answer._bettong_optional:
        refuse(
            answer,
            f"answers {answer!r}, which may be None; say {answer!r} == True",
        )
    return list(answer._bettong_terms)


def _clipped(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 3]}..."


def _operand(of: Symbol, value: object, done: str) -> Expression:
    """``value`` as an operand; ``done`` says of what, in words."""
    where = of._bettong_where
    if isinstance(value, Expression):
        return value
    if isinstance(value, Symbol):
        refuse(of, f"uses {value!r} in {done}: it is {value._bettong_what}")
    if value is None:
        return Expression(where, "None", "none", True, (Term("none"),))
    if isinstance(value, bool):
        return Expression(where, str(value), "bool", False, (Term("bool", value),))
    if isinstance(value, int):
        if not INT_MIN <= value <= INT_MAX:
            refuse(of, f"uses a constant of more than 64 bits in {done}")
        number = int(value)
        return Expression(where, str(number), "number", False, (Term("int", number),))
    if isinstance(value, float):
        real = float(value)
        return Expression(where, str(real), "number", False, (Term("float", real),))
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            refuse(of, f"uses a text with lone surrogates in {done}")
        text = str(value)
        return Expression(where, repr(text), "text", False, (Term("text", text),))
    refuse(
        of,
        f"uses a {type(value).__name__} in {done}; constants are int, float, bool, str and None",
    )


def _both(
    of: Expression, sign: str, left: object, right: object
) -> tuple[Expression, Expression, str]:
    done = _clipped(f"{_spelled(left)} {sign} {_spelled(right)}")
    return _operand(of, left, done), _operand(of, right, done), done


def _spelled(value: object) -> str:
    compound = isinstance(value, Expression) and len(value._bettong_terms) > 1
    return f"({value!r})" if compound else repr(value)


def _check_number(of: Symbol, operand: Expression, done: str) -> None:
    if operand._bettong_type == "none":
        refuse(of, f"computes {done}: None is neither less nor more; say == None")
    if operand._bettong_type not in ("number", "bool"):
        refuse(
            of,
            f"computes {done}: {operand!r} is {operand._bettong_what}, and + - * < <= > >= are of "
            "numbers",
        )


def _made(
    kind: str,
    text: str,
    type_: str,
    left: Expression,
    right: Expression,
    *,
    optional: bool = False,
    waits: int = 1,
) -> Expression:
    return Expression(
        left._bettong_where,
        text,
        type_,
        optional,
        (*left._bettong_terms, *right._bettong_terms, Term(kind)),
        max(left._bettong_depth, right._bettong_depth + waits),
    )


def _computed(
    of: Expression, kind: str, sign: str, left: object, right: object
) -> Expression:
    first, second, done = _both(of, sign, left, right)
    _check_number(of, first, done)
    _check_number(of, second, done)
    optional = first._bettong_optional or second._bettong_optional
    return _made(kind, done, "number", first, second, optional=optional)


def _ordered(left: Expression, kind: str, sign: str, right: object) -> Expression:
    first, second, done = _both(left, sign, left, right)
    _check_number(left, first, done)
    _check_number(left, second, done)
    return _made(kind, done, "bool", first, second)


def _equal(left: Expression, kind: str, sign: str, right: object) -> Expression:
    first, second, done = _both(left, sign, left, right)
    types = {first._bettong_type, second._bettong_type}
    if "text" in types and types & {"number", "bool"}:
        refuse(
            left,
            f"compares {done}: {first!r} is {first._bettong_what} and {second!r} is "
            f"{second._bettong_what}, which are never equal",
        )
    return _made(kind, done, "bool", first, second)


def _joined(
    of: Expression, kind: str, sign: str, left: object, right: object
) -> Expression:
    first, second, done = _both(of, sign, left, right)
    for each in (first, second):
        if each._bettong_type != "bool":
            refuse(
                of,
                f"uses {each!r} in {done}: it is {each._bettong_what}, and & and | are of comparisons "
                "and bools; put parentheses around comparisons, as (a > 1) & (b < 2)",
            )
        if each._bettong_terms[0].kind == "bool" and len(each._bettong_terms) == 1:
            refuse(
                of,
                f"uses the constant {each!r} in {done}; note that `is` compares at once, and == None "
                "does not",
            )
        if each._bettong_optional:
            refuse(of, f"uses {each!r} in {done}: it may be None; say {each!r} == True")
    return _made(kind, done, "bool", first, second, waits=0)


# --- what no symbol has

_OPERATORS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%",
    "divmod": "divmod()", "pow": "**", "lshift": "<<", "rshift": ">>", "xor": "^", "matmul": "@",
    "and": "&", "or": "|",
}  # fmt: skip
_OTHERS = {
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
    "neg": "-", "pos": "+", "invert": "~ (instead of it: == False)",
    "abs": "abs()", "round": "round()", "trunc": "trunc()", "floor": "floor()", "ceil": "ceil()",
    "int": "int()", "float": "float()", "complex": "complex()", "index": "an int's place",
    "len": "len()", "iter": "iteration", "next": "next()", "reversed": "reversed()",
    "contains": "in", "getitem": "[...]", "setitem": "[...] =", "delitem": "del", "call": "a call",
    "hash": "hash(), as a set, a dict or a cache does", "str": "str()", "bytes": "bytes()",
    "format": "an f-string", "fspath": "a path", "enter": "with", "await": "await",
}  # fmt: skip


def _refusing(sign: str) -> Callable[..., NoReturn]:
    def refuse_operator(self: Symbol, *_: object) -> NoReturn:
        refuse(
            self,
            f"uses {sign} of {self!r}, {self._bettong_what}; a condition has + - * < <= > >= == != & "
            "| of numbers, texts and bools",
        )

    return refuse_operator


def _refuse_operators() -> None:
    signs = {**_OPERATORS, **_OTHERS, **{f"r{k}": v for k, v in _OPERATORS.items()}}
    for name, sign in signs.items():
        setattr(Symbol, f"__{name}__", _refusing(sign))


_refuse_operators()
