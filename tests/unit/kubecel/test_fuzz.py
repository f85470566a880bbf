"""Whatever an expression is, it is refused or evaluated within its limit: nothing else comes out of the engine."""

from __future__ import annotations

import random
import time

import pytest

from kubecel import DYN, INT, CompileError, CostExceeded, EvaluationError, compile_expression
from kubecel.program import functions

VARIABLES = {"o": DYN, "n": INT}
VALUES = {
    "o": {"a": [1, 2.5, "x", None, True, {"b": []}], "text": "héllo", "b": {"1": 2, "x": [[1], [2]]}, "z": None},
    "n": 7,
}
ATOMS = """o n o.a o.text o.b o.z o.none 0 1 -1 9223372036854775807 1u 18446744073709551615u 0.0 1.5 1e308 -1e308 '' 'a'
'1' '10.0.0.1' '10.0.0.0/8' '1Gi' '1.2.3' 'https://a:1/b?c=d' '2023-01-01T00:00:00Z' '1h' 'Europe/Vienna' '[a-z]+' '('
'%s %d %f %e %x %b' b'' b'\\xff' true false null [] {} [1,2] ['a','b'] {'a':1} {1:2} timestamp(0) duration('1s') int
optional.none() optional.of(1) quantity('1') ip('::1') cidr('::/0') semver('1.0.0') url('/a') dyn('x') dyn([1])
format.uuid() type(1)""".split()  # noqa: SIM905
INFIX = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in"]
MACROS = ["all", "exists", "exists_one", "map", "filter"]
NAMES = sorted(name for name in functions() if name[0].isalpha())


def expression(chance: random.Random, depth: int) -> str:
    if depth == 0 or chance.random() < 0.15:
        atom = chance.choice(ATOMS)
        return f"dyn({atom})" if chance.random() < 0.6 else atom  # so that the types are only known at evaluation

    def part() -> str:
        return expression(chance, depth - 1)

    match chance.randrange(9):
        case 0 | 1:
            return f"({part()} {chance.choice(INFIX)} {part()})"
        case 2:
            method = chance.choice(NAMES).rpartition(".")[2]
            return f"{part()}.{method}({', '.join(part() for _ in range(chance.randrange(3)))})"
        case 3:
            return f"{chance.choice(NAMES)}({', '.join(part() for _ in range(chance.randrange(1, 3)))})"
        case 4:
            return f"dyn({part()}).{chance.choice(MACROS)}(v{depth}, {part()})"
        case 5:
            return f"dyn({part()})[{'?' if chance.random() < 0.3 else ''}{part()}]"
        case 6:
            return f"({part()} ? {part()} : {part()})"
        case 7:
            return f"[{part()}, dyn({part()})]" if chance.random() < 0.5 else f"{{{part()}: {part()}}}"
    return f"{chance.choice(['!', '-'])}({part()})"


@pytest.mark.parametrize("seed", range(4))
def test_random_expressions_are_refused_or_evaluated(seed: int) -> None:
    chance = random.Random(seed)
    outcomes = {"value": 0, "error": 0, "refused": 0}
    for _ in range(250):
        text = expression(chance, chance.randrange(1, 5))
        started = time.monotonic()
        try:
            compile_expression(text, VARIABLES).evaluate(VALUES, 100_000)
            outcomes["value"] += 1
        except CompileError:
            outcomes["refused"] += 1
        except (EvaluationError, CostExceeded):
            outcomes["error"] += 1
        except Exception as error:
            raise AssertionError(text) from error
        assert time.monotonic() - started < 5, text
    assert all(outcomes.values()), outcomes


@pytest.mark.parametrize("seed", range(4))
def test_random_text_is_refused_or_compiled(seed: int) -> None:
    chance = random.Random(seed)
    pieces = [*ATOMS, *INFIX, *NAMES, *"()[]{}.,:?!\"'`\\ \n\t#;$", ".?", "[?", "has(", "all(x,", "r'", 'b"', "é", "//"]
    for _ in range(500):
        text = "".join(chance.choice(pieces) for _ in range(chance.randrange(12)))
        try:
            compile_expression(text, VARIABLES)
        except CompileError:
            continue
        except Exception as error:
            raise AssertionError(repr(text)) from error
