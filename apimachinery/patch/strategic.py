"""Strategic merge patch: a merge patch that knows, from the model, which lists merge by a key.

Directives: `$patch: replace|delete|merge`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`,
`$retainKeys`.
Source: Kubernetes contributor documentation, "Strategic Merge Patch".
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, NamedTuple

import orjson

from apimachinery.errors import BadRequest
from apimachinery.fields.fieldtypes import FieldType, walk_fields
from apimachinery.model import MergeKey, Model, RetainKeys

Json = Any
Dict = dict[str, Any]

_DELETE_LIST = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_RETAIN = "$retainKeys"
_PATCH = "$patch"


class _Rule(NamedTuple):
    """The way in which one field merges.

    `model` is that of the object, or of a list's items; `merge_key` that of a list that merges ("" for a list of
    primitives, None for one that is replaced); with `retain_keys` a patch says which keys stay, as the fields exclude
    each other.
    """

    model: type[Model] | None = None
    merge_key: str | None = None
    retain_keys: bool = False


_REPLACE = _Rule()


@cache
def _rules(model: type[Model]) -> dict[str, _Rule]:
    return {field.name: _rule_of(field.type) for field in walk_fields(model)}


def _rule_of(kind: FieldType) -> _Rule:
    merge_key = kind.mark(MergeKey)
    return _Rule(
        None if kind.form == "map" else kind.inner_model,
        None if merge_key is None else merge_key.key,
        kind.mark(RetainKeys) is not None,
    )


def _rule(model: type[Model] | None, field: str) -> _Rule:
    return _rules(model).get(field, _REPLACE) if model is not None else _REPLACE


def strategic_merge_patch(doc: Dict, patch: Json, model: type[Model]) -> Dict:
    """Returns the patched document; neither argument is changed.

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
        raise BadRequest(f"unknown patch type: {directive[:100] if isinstance(directive, str) else 'no text'}")
    result = dict(doc)
    directives = [name for name in patch if name[:1] == "$"]
    if directives and (retain := _directive_list(patch, _RETAIN)):
        retained = set(map(_identity, retain))
        if any(value is not None and field[:1] != "$" and field not in retained for field, value in patch.items()):
            raise BadRequest("invalid patch format of retainKeys")
        result = {key: value for key, value in result.items() if key in retained}
    for field, value in patch.items():
        if field[:1] == "$":
            continue
        if value is None:
            result.pop(field, None)
        else:
            ordered = bool(directives and patch.get(_ORDER + field))
            result[field] = _merge_value(result.get(field), value, _rule(model, field), ordered=ordered)
    for name in directives:
        if name.startswith(_DELETE_LIST):
            field = name[len(_DELETE_LIST) :]
            gone = set(map(_identity, _directive_list(patch, name)))
            if isinstance(result.get(field), list):
                result[field] = [item for item in result[field] if _identity(item) not in gone]
    for name in directives:
        if name.startswith(_ORDER):
            field = name[len(_ORDER) :]
            key = _rule(model, field).merge_key
            order = _identities(_directive_list(patch, name), key)
            _check_order(patch.get(field), order, key)
            if isinstance(result.get(field), list):
                result[field] = _in_order(result[field], order, doc.get(field), key)
    return result


def _directive_list(patch: Dict, name: str) -> list[Any]:
    value = patch.get(name, [])
    if not isinstance(value, list):
        raise BadRequest(f"invalid patch format of {name.partition('/')[0]}: it must be a list")
    return value


def _identity(value: Json) -> Hashable:
    """Returns equal values for equal JSON, so that long lists are compared in one pass."""
    if not isinstance(value, dict | list):
        scalar: Hashable = value
        return scalar
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _merge_value(old: Json, value: Json, rule: _Rule, *, ordered: bool) -> Json:
    """`ordered`: the patch gives the order of a list itself."""
    if isinstance(value, dict):
        return _merge_object(old if isinstance(old, dict) else {}, value, rule.model)
    if isinstance(value, list) and rule.merge_key is not None:
        before = old if isinstance(old, list) else []
        if rule.merge_key == "":
            items = list({_identity(item): item for item in before + value}.values())
        else:
            items = _merge_list(before, value, rule)
        return items if ordered else _in_order(items, _identities(value, rule.merge_key), before, rule.merge_key)
    return _clean(value)


def _merge_list(old: list[Any], patch: list[Any], rule: _Rule) -> list[Any]:
    key = rule.merge_key or ""
    if any(isinstance(item, dict) and item.get(_PATCH) == "replace" for item in patch):
        return [_clean(item) for item in patch if not (isinstance(item, dict) and item.get(_PATCH) == "replace")]
    result: dict[Hashable, Any] = {}  # by the key; items that have none, or one that came before, by their place
    for index, have in enumerate(old):
        mark = _identity(have[key]) if isinstance(have, dict) and key in have else None
        result[(index,) if mark is None or mark in result else mark] = have
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            fields = ", ".join(item)[:100] if isinstance(item, dict) else "no object"
            raise BadRequest(f"map: ({fields}) does not contain declared merge key: {key}")
        mark = _identity(item[key])
        if item.get(_PATCH) == "delete":
            result.pop(mark, None)
        else:
            result[mark] = _merge_object(result.get(mark, {}), item, rule.model)
    return list(result.values())


def _in_order(items: list[Any], order: list[Hashable], before: Json, key: str | None) -> list[Any]:
    """Puts the items that `order` names into its order. The others keep theirs, and stand ahead of a named item only
    if they did so in the list `before` the patch: what a patch adds comes first."""
    identities = _identities(items, key)
    if identities == order:
        return items
    named_at, stood_at = _positions(order), _positions(_identities(before, key))
    named: list[tuple[Hashable, Any]] = []
    others: list[tuple[Hashable, Any]] = []
    for identity, item in zip(identities, items, strict=True):
        (named if identity in named_at else others).append((identity, item))
    named.sort(key=lambda pair: named_at[pair[0]])
    result: list[Any] = []
    taken = 0  # of the others
    for identity, item in named:
        place = stood_at.get(identity, -1)
        while taken < len(others) and stood_at.get(others[taken][0], place) < place:
            result.append(others[taken][1])
            taken += 1
        result.append(item)
    return result + [item for _, item in others[taken:]]


def _check_order(items: Json, order: list[Hashable], key: str | None) -> None:
    """Raises: BadRequest for a patch whose items are not among those it orders, or stand in another order."""
    if not order or not isinstance(items, list):
        return
    rest = iter(order)
    for item, identity in zip(items, _identities(items, key), strict=True):
        deleted = isinstance(item, dict) and _PATCH in item
        if not deleted and identity not in rest:
            raise BadRequest("The order in patch list doesn't match $setElementOrder list")


def _positions(identities: list[Hashable]) -> dict[Hashable, int]:
    """Returns the index of the first of each."""
    positions: dict[Hashable, int] = {}
    for index, identity in enumerate(identities):
        positions.setdefault(identity, index)
    return positions


def _identities(items: Json, key: str | None) -> list[Hashable]:
    """Returns what tells the items of a list apart: their keys, or themselves."""
    if not isinstance(items, list):
        return []
    return [_identity(item.get(key) if key and isinstance(item, dict) else item) for item in items]


def _clean_object(value: Dict) -> Dict:
    return {key: _clean(item) for key, item in value.items() if item is not None and not key.startswith("$")}


def _clean(value: Json) -> Json:
    """Removes directives and nulls from new content."""
    if isinstance(value, dict):
        return _clean_object(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def three_way_strategic(original: Dict | None, modified: Dict, current: Dict, model: type[Model]) -> Dict:
    """Returns the patch of `kubectl apply`: it adds and changes what differs between `modified` and `current`, and
    deletes what `original` (the last applied) has and `modified` lacks."""
    patch = _diff(current, modified, model, deletions=False)
    removals = _diff(original or {}, modified, model, additions=False)
    return _combine(patch, removals, model)


def _diff(old: Dict, new: Dict, model: type[Model] | None, *, deletions: bool = True, additions: bool = True) -> Dict:
    patch: Dict = {}
    if deletions:
        patch |= {key: None for key in old if key not in new}
    for field, value in new.items():
        before, rule = old.get(field), _rule(model, field)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = _diff(before, value, rule.model, deletions=deletions, additions=additions)
            if inner and rule.retain_keys and additions:
                inner = {**inner, _RETAIN: sorted(value)}
            if inner:
                patch[field] = inner
        elif isinstance(value, list) and isinstance(before, list) and rule.merge_key is not None:
            patch |= _diff_list(field, before, value, rule, deletions=deletions, additions=additions)
        elif additions and (field not in old or value != before):
            patch[field] = value
    return patch


def _diff_list(field: str, old: list[Any], new: list[Any], rule: _Rule, *, deletions: bool, additions: bool) -> Dict:
    key = rule.merge_key
    if not key:
        patch: Dict = {}
        added = [item for item in new if item not in old]
        gone = [item for item in old if item not in new]
        if additions and added:
            patch |= {field: added, _ORDER + field: new}
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
        elif inner := _diff(before, item, rule.model, deletions=deletions, additions=additions):
            retain = {_RETAIN: sorted(item)} if rule.retain_keys and additions else {}
            items.append({**inner, **retain, key: item.get(key)})
    if deletions:
        new_keys = {item.get(key) for item in new}
        items += [{_PATCH: "delete", key: name} for name in by_key if name not in new_keys]
    patch = {field: items} if items else {}
    order = [item.get(key) for item in new]
    if additions and (items or order != [name for name in by_key if name in order]):
        patch[_ORDER + field] = [{key: name} for name in order]
    return patch


def _combine(patch: Dict, removals: Dict, model: type[Model] | None) -> Dict:
    """Lays `removals` over `patch`. A field in both keeps what `patch` sets and loses what `removals` delete."""
    result = dict(patch)
    for field, value in removals.items():
        have, rule = result.get(field), _rule(model, field)
        if field not in result or value is None:
            result.setdefault(field, value)
        elif isinstance(value, dict) and isinstance(have, dict):
            result[field] = _combine(have, value, rule.model)
        elif isinstance(value, list) and isinstance(have, list) and rule.merge_key:
            result[field] = _combine_lists(have, value, rule)
    return result


def _combine_lists(patch: list[Any], removals: list[Any], rule: _Rule) -> list[Any]:
    key = rule.merge_key or ""
    result = list(patch)
    for item in removals:
        at = next((i for i, have in enumerate(result) if have.get(key) == item.get(key)), None)
        if at is None:
            result.append(item)
        else:
            result[at] = _combine(result[at], item, rule.model)
    return result
