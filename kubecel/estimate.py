"""How much an expression may cost, known before it runs, from the largest sizes that its types allow.

Source: Kubernetes documentation, "CEL in Kubernetes", section "Resource constraints".
"""

from __future__ import annotations

from kubecel.folds import FOLD_COSTS, LIST_COST, MAP_COST, STRUCT_COST
from kubecel.syntax import Call, Fold, Ident, ListNode, Literal, MapNode, Node, OptionalMap, Select, Struct, children

UNBOUND = (1 << 63) - 1


def largest_cost(node: Node) -> int:
    """Returns the most that one evaluation of a checked tree can cost; `UNBOUND` at most."""
    return min(_cost(node), UNBOUND)


def _cost(node: Node) -> int:
    match node:
        case Literal():
            return 0
        case Ident():
            return 0 if node.type.name == "type" else 1
        case Select():
            return _cost(node.operand) + (0 if node.test_only else 1)
        case Call():
            return _call(node)
        case Fold():
            start, each, chosen = FOLD_COSTS[node.macro]
            inside = sum(_cost(part) for part in (node.where, node.result) if part is not None)
            return _cost(node.over) + start + largest_size(node.over) * (each + chosen + inside)
        case OptionalMap():
            return _cost(node.target) + 1 + _cost(node.result)
    own = {ListNode: LIST_COST, MapNode: MAP_COST, Struct: STRUCT_COST}[type(node)]
    return own + sum(map(_cost, children(node)))


def _call(node: Call) -> int:
    operands = node.operands()
    costs = [_cost(operand) for operand in operands]
    match node.function:
        case "_&&_" | "_||_":
            return sum(costs)
        case "_?_:_":
            return costs[0] + max(costs[1:])
        case "_==_" | "_!=_":
            sizes = [largest_size(operand) for operand in operands]
            if all(operand.type.name in ("string", "bytes") for operand in operands):
                return sum(costs) + max(1, -(-min(sizes) // 10))
            return sum(costs) + (min(sizes) if max(sizes) > 1 else 1)
    sizes = [largest_size(operand) for operand in operands]
    return sum(costs) + max((overload.cost(sizes) for overload in node.overloads), default=1)


_SIZED = frozenset({"string", "bytes", "list", "map", "dyn"})


def largest_size(node: Node) -> int:
    """Returns the most characters, items or entries of a part; 1 for a number and the like."""
    match node:
        case Literal() | ListNode() | MapNode():
            return node.type.max_size if node.type.max_size is not None else 1
        case Fold(macro="filter" | "map" | "transformList" | "transformMap"):
            return largest_size(node.over)
        case Call(function="_?_:_"):
            return max(map(largest_size, node.args[1:]))
        case Call():
            sizes = [largest_size(operand) for operand in node.operands()]
            known: list[int] = [overload.size(sizes) for overload in node.overloads if overload.size is not None]
            if known:
                return min(max(known), UNBOUND)
    if node.type.max_size is not None:
        return node.type.max_size
    return UNBOUND if node.type.name in _SIZED else 1
