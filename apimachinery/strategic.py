"""Strategic merge patch: a merge patch that knows, from the model, which lists merge by a key.

Directives: `$patch: replace|delete|merge`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`,
`$retainKeys`.
Source: Kubernetes contributor documentation, "Strategic Merge Patch".
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from apimachinery.errors import BadRequest
from apimachinery.model import MergeKey, Model, RetainKeys

Json = Any
Dict = dict[str, Any]

_DELETE_LIST = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_RETAIN = "$retainKeys"
_PATCH = "$patch"


@dataclass(frozen=True, slots=True)
class Shape:
    """How one field merges: `model` of the object or of a list's items, `merge_key` of a list that merges ("" for a
    list of primitives, None for one that is replaced); `retain_keys` where a patch says which keys stay, as the fields
    exclude each other."""

    model: type[Model] | None = None
    merge_key: str | None = None
    retain_keys: bool = False


_PLAIN = Shape()


@cache
def _shapes(model: type[Model]) -> dict[str, Shape]:
    return {
        info.alias or name: _shape_of([info.annotation, *info.metadata]) for name, info in model.model_fields.items()
    }


def _shape_of(hints: list[Any]) -> Shape:
    found: type[Model] | None = None
    key: str | None = None
    retain_keys = False
    for hint in _flatten(hints):
        if isinstance(hint, MergeKey):
            key = hint.key
        elif isinstance(hint, RetainKeys):
            retain_keys = True
        elif isinstance(hint, type) and issubclass(hint, Model):
            found = hint
    return Shape(found, key, retain_keys)


def _flatten(hints: list[Any]) -> Iterator[Any]:
    for hint in hints:
        origin = get_origin(hint)
        if origin is Annotated:
            yield from _flatten([hint.__origin__, *hint.__metadata__])
        elif origin in (Union, UnionType, list):
            yield from _flatten(list(get_args(hint)))
        else:
            yield hint


def _shape(model: type[Model] | None, field: str) -> Shape:
    return _shapes(model).get(field, _PLAIN) if model is not None else _PLAIN


def strategic_merge_patch(doc: Dict, patch: Json, model: type[Model]) -> Dict:
    """The patched document; neither argument is changed.

    Raises: BadRequest for a patch that misuses a directive or lacks a merge key.
    """
    if not isinstance(patch, dict):
        raise BadRequest("a strategic merge patch must be an object")
    return _merge_object(doc, patch, model)


def _merge_object(doc: Dict, patch: Dict, model: type[Model] | None) -> Dict:
    directive = patch.get(_PATCH)
    if directive == "replace":
        return _clean_object(patch)
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise BadRequest(f"unknown strategic merge patch directive {directive!r}")
    result = dict(doc)
    if retain := _directive_list(patch, _RETAIN):
        kept = set(map(_identity, retain))
        result = {key: value for key, value in result.items() if key in kept}
    for field, value in patch.items():
        if field.startswith("$"):
            continue
        if value is None:
            result.pop(field, None)
        else:
            result[field] = _merge_value(result.get(field), value, _shape(model, field), field)
    for name in patch:
        if name.startswith(_DELETE_LIST):
            field = name[len(_DELETE_LIST) :]
            gone = set(map(_identity, _directive_list(patch, name)))
            if isinstance(result.get(field), list):
                result[field] = [item for item in result[field] if _identity(item) not in gone]
    for name in patch:
        if name.startswith(_ORDER):
            field = name[len(_ORDER) :]
            order = _directive_list(patch, name)
            if isinstance(result.get(field), list):
                result[field] = _reorder(result[field], order, _shape(model, field).merge_key)
    return result


def _directive_list(patch: Dict, name: str) -> list[Any]:
    value = patch.get(name, [])
    if not isinstance(value, list):
        raise BadRequest(f"invalid patch format of {name.partition('/')[0]}: it must be a list")
    return value


def _identity(value: Json) -> Hashable:
    """Equal for equal JSON, so that long lists are compared in one pass."""
    if not isinstance(value, dict | list):
        known: Hashable = value
        return known
    import orjson

    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _merge_value(old: Json, value: Json, shape: Shape, field: str) -> Json:
    if isinstance(value, dict):
        return _merge_object(old if isinstance(old, dict) else {}, value, shape.model)
    if isinstance(value, list) and shape.merge_key is not None:
        if shape.merge_key == "":
            base = old if isinstance(old, list) else []
            known = set(map(_identity, base))
            return base + [item for item in value if _identity(item) not in known]
        return _merge_list(old if isinstance(old, list) else [], value, shape, field)
    return _clean(value)


def _merge_list(old: list[Any], patch: list[Any], shape: Shape, field: str) -> list[Any]:
    key = shape.merge_key or ""
    if any(isinstance(item, dict) and item.get(_PATCH) == "replace" for item in patch):
        return [_clean(item) for item in patch if not (isinstance(item, dict) and item.get(_PATCH) == "replace")]
    result: dict[Hashable, Any] = {}  # by the key; items that have none, or one that came before, by their place
    for index, have in enumerate(old):
        mark = _identity(have[key]) if isinstance(have, dict) and key in have else None
        result[(index,) if mark is None or mark in result else mark] = have
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise BadRequest(f"map: {str(item)[:100]} in list {field} does not contain declared merge key: {key}")
        mark = _identity(item[key])
        if item.get(_PATCH) == "delete":
            result.pop(mark, None)
        else:
            result[mark] = _merge_object(result.get(mark, {}), item, shape.model)
    return list(result.values())


def _reorder(items: list[Any], order: list[Any], key: str | None) -> list[Any]:
    """Listed items in the asked order; the others stay behind the item they followed."""

    def identity(item: Any) -> Hashable:
        return _identity(item.get(key) if key and isinstance(item, dict) else item)

    position = {identity(item): index for index, item in enumerate(order)}
    ranked, last = [], -1.0
    for index, item in enumerate(items):
        last = position.get(identity(item), last)
        ranked.append((last, identity(item) not in position, index, item))
    return [entry[3] for entry in sorted(ranked, key=lambda entry: entry[:3])]


def _clean_object(value: Dict) -> Dict:
    return {key: _clean(item) for key, item in value.items() if item is not None and not key.startswith("$")}


def _clean(value: Json) -> Json:
    """New content without directives and nulls."""
    if isinstance(value, dict):
        return _clean_object(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def three_way_strategic(original: Dict | None, modified: Dict, current: Dict, model: type[Model]) -> Dict:
    """The patch of `kubectl apply`: additions and changes are `modified` against `current`; deletions are what
    `original` (the last applied) had and `modified` lacks."""
    patch = _diff(current, modified, model, deletions=False)
    removals = _diff(original or {}, modified, model, additions=False)
    return _combine(patch, removals, model)


def _diff(old: Dict, new: Dict, model: type[Model] | None, *, deletions: bool = True, additions: bool = True) -> Dict:
    patch: Dict = {}
    if deletions:
        patch |= {key: None for key in old if key not in new}
    for field, value in new.items():
        before, shape = old.get(field), _shape(model, field)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = _diff(before, value, shape.model, deletions=deletions, additions=additions)
            if inner and shape.retain_keys and additions:
                inner = {**inner, _RETAIN: sorted(value)}
            if inner:
                patch[field] = inner
        elif isinstance(value, list) and isinstance(before, list) and shape.merge_key is not None:
            patch |= _diff_list(field, before, value, shape, deletions=deletions, additions=additions)
        elif additions and (field not in old or value != before):
            patch[field] = value
    return patch


def _diff_list(field: str, old: list[Any], new: list[Any], shape: Shape, *, deletions: bool, additions: bool) -> Dict:
    key = shape.merge_key
    if not key:
        patch: Dict = {}
        added = [item for item in new if item not in old]
        gone = [item for item in old if item not in new]
        if additions and added:
            patch[field] = added
        if deletions and gone:
            patch[_DELETE_LIST + field] = gone
        return patch
    by_key = {item.get(key): item for item in old}
    items: list[Any] = []
    for item in new:
        before = by_key.get(item.get(key))
        if before is None:
            if additions:
                items.append(item)
        elif inner := _diff(before, item, shape.model, deletions=deletions, additions=additions):
            retain = {_RETAIN: sorted(item)} if shape.retain_keys and additions else {}
            items.append({**inner, **retain, key: item.get(key)})
    if deletions:
        kept = {item.get(key) for item in new}
        items += [{_PATCH: "delete", key: name} for name in by_key if name not in kept]
    patch = {field: items} if items else {}
    order = [item.get(key) for item in new]
    if additions and (items or order != [name for name in by_key if name in order]):
        patch[_ORDER + field] = [{key: name} for name in order]
    return patch


def _combine(patch: Dict, removals: Dict, model: type[Model] | None) -> Dict:
    """`removals` laid over `patch`; a field both touch keeps what `patch` sets and loses what `removals` delete."""
    result = dict(patch)
    for field, value in removals.items():
        have, shape = result.get(field), _shape(model, field)
        if field not in result or value is None:
            result.setdefault(field, value)
        elif isinstance(value, dict) and isinstance(have, dict):
            result[field] = _combine(have, value, shape.model)
        elif isinstance(value, list) and isinstance(have, list) and shape.merge_key:
            result[field] = _combine_lists(have, value, shape)
    return result


def _combine_lists(patch: list[Any], removals: list[Any], shape: Shape) -> list[Any]:
    key = shape.merge_key or ""
    result = list(patch)
    for item in removals:
        at = next((i for i, have in enumerate(result) if have.get(key) == item.get(key)), None)
        if at is None:
            result.append(item)
        else:
            result[at] = _combine(result[at], item, shape.model)
    return result
