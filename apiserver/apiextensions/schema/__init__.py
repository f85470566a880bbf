"""Structural schemas of custom resources: what objects may hold, and what their definitions may say. Pure.

node.py        a schema, prepared once for all that walks objects along it; branches that no object has cost nothing
shaping.py     objects are brought into the form of the schema: unknown fields dropped, defaults set
values.py      values are held to types, bounds, patterns and combinations
formats.py     the named formats of strings
patterns.py    regular expressions that take linear time
lists.py       lists that are sets or maps: no item twice
embedded.py    whole objects inside of objects
rules.py       rules in CEL
branches.py    the part of a schema that asks for something
merging.py     the form of objects for managed fields and server-side apply
fieldpath.py   paths to fields as definitions write them
definition/    what a definition may say, its schemas included

Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions".
"""

from apiserver.apiextensions.schema.compiled import Compiled, compile_schema
from apiserver.apiextensions.schema.definition import check_definition, definition_warnings

__all__ = ["Compiled", "check_definition", "compile_schema", "definition_warnings"]
