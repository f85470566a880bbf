"""What a CustomResourceDefinition may say.

spec.py        names, versions, columns, subresources
conversion.py  the webhook that converts objects
openapi.py     what a schema may say
structural.py  what makes it structural
rules.py       what its rules may say and cost
defaults.py    what its defaults may be
"""

from apiserver.apiextensions.schema.definition.spec import check_definition, definition_warnings

__all__ = ["check_definition", "definition_warnings"]
