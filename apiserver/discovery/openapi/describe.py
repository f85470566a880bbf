"""Reads descriptions of kinds and fields from the docstrings in the source of the models.

A field's description is the string below it in its class. Python throws such strings away when it compiles a module, so
they cost a daemon nothing; they are read only when a client asks for OpenAPI.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from apimachinery.model import Model


@dataclass(frozen=True, slots=True)
class ClassDoc:
    text: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class Descriptions:
    """Parses each module once; made for one run, so that nothing of it stays in memory."""

    def __init__(self) -> None:
        self._modules: dict[str, dict[str, ClassDoc]] = {}

    def of_model(self, model: type[Model]) -> str:
        """The class's own docstring; "" without one."""
        return self._class_doc(model).text

    def of_fields(self, model: type[Model]) -> dict[str, str]:
        """Attribute -> description, those of base classes too; fields without one are left out."""
        texts: dict[str, str] = {}
        for base in reversed(model.__mro__):
            if isinstance(base, type) and issubclass(base, Model):
                texts |= self._class_doc(base).fields
        return texts

    def _class_doc(self, model: type[Model]) -> ClassDoc:
        name = model.__module__
        if name not in self._modules:
            self._modules[name] = class_docs(_source(name))
        return self._modules[name].get(model.__name__, ClassDoc())


def _source(module: str) -> str:
    """Returns the source text of a module, wherever it was imported from."""
    loader = getattr(sys.modules[module].__spec__, "loader", None)
    return (loader.get_source(module) if loader is not None else None) or ""


def class_docs(source: str) -> dict[str, ClassDoc]:
    """Returns the docstrings of all classes of a module and of their fields."""
    docs: dict[str, ClassDoc] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            docs[node.name] = ClassDoc(_one_line(ast.get_docstring(node) or ""), dict(_fields(node)))
    return docs


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, following in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            yield statement.target.id, _one_line(following.value.value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
