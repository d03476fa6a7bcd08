"""A mypy plugin, because two spellings of Bettong are beyond mypy's own rules.

``class Host(app.Entity)`` derives from an attribute of a variable, and ``Array[int, 5]`` has a number
among its type arguments. Pyright and editors understand the former without help. Switch it on with

    [tool.mypy]
    plugins = ["bettong.mypy_plugin"]

Without the plugin, write ``class Host(bettong.Entity, app=app)`` and ``Array[int, Literal[5]]``.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.nodes import (
    AssignmentStmt,
    CallExpr,
    ClassDef,
    Expression,
    Import,
    ImportFrom,
    MemberExpr,
    MypyFile,
    NameExpr,
)
from mypy.plugin import AnalyzeTypeContext, Plugin
from mypy.types import AnyType, Type, TypeOfAny

_ENTITY_MODULE = "bettong.entity"
_ALIAS = "__bettong_entity"
_ARRAYS = frozenset({"bettong.Array", "bettong.arrays.Array"})


class BettongPlugin(Plugin):
    """Makes ``app.Entity`` the class it is, and sizes of arrays acceptable."""

    def get_additional_deps(self, file: MypyFile) -> list[tuple[int, str, int]]:
        """Called with each parsed file before its names are resolved."""
        apps = _app_names(file)
        found = False
        for definition in file.defs:
            if isinstance(definition, ClassDef):
                for index, base in enumerate(definition.base_type_exprs):
                    if _is_app_entity(base, apps):
                        definition.base_type_exprs[index] = _entity_expression(base)
                        found = True
        if not found:
            return []
        node = Import([(_ENTITY_MODULE, _ALIAS)])
        node.is_top_level = True
        node.line = node.column = 0
        file.defs.insert(0, node)
        file.imports.insert(0, node)
        return [(10, _ENTITY_MODULE, -1)]

    def get_type_analyze_hook(
        self, fullname: str
    ) -> Callable[[AnalyzeTypeContext], Type] | None:
        return _analyze_array if fullname in _ARRAYS else None


def _app_names(file: MypyFile) -> set[str]:
    """The names that are an App here: made in this file, or imported and called ``app``."""
    names = set()
    for definition in file.defs:
        if isinstance(definition, AssignmentStmt) and isinstance(
            definition.rvalue, CallExpr
        ):
            callee = definition.rvalue.callee
            if isinstance(callee, (NameExpr, MemberExpr)) and callee.name == "App":
                names |= {
                    name.name
                    for name in definition.lvalues
                    if isinstance(name, NameExpr)
                }
        elif isinstance(definition, ImportFrom):
            imported = {alias or name for name, alias in definition.names}
            names |= imported & {"app"}
    return names


def _is_app_entity(base: Expression, apps: set[str]) -> bool:
    return (
        isinstance(base, MemberExpr)
        and base.name == "Entity"
        and isinstance(base.expr, NameExpr)
        and base.expr.name in apps
    )


def _entity_expression(base: Expression) -> Expression:
    module = NameExpr(_ALIAS)
    entity = MemberExpr(module, "Entity")
    for node in (module, entity):
        node.set_line(base)
    return entity


def _analyze_array(context: AnalyzeTypeContext) -> Type:
    arguments: list[Type] = list(getattr(context.type, "args", ()))
    if len(arguments) != 2:
        context.api.fail("Array needs an element type and a size", context.context)
        return AnyType(TypeOfAny.from_error)
    item = context.api.analyze_type(arguments[0])
    return context.api.named_type(
        "bettong.arrays.Array", [item, AnyType(TypeOfAny.special_form)]
    )


def plugin(version: str) -> type[Plugin]:
    """What mypy looks for."""
    return BettongPlugin
