"""What expressions evaluate to, and what is said of those that can't be."""
# ruff: noqa: E501 (tables)

import pytest

from kubecel import DYN, INT, CompileError, CostExceeded, EvaluationError, compile_expression

VARIABLES = {"object": DYN, "n": INT}
OBJECT = {"a": {"b": 1}, "l": [1, 2, 3], "m": {"k": "v"}, "text": "hello", "none": None, "f": 1.0}


def evaluate(text: str) -> object:
    return compile_expression(text, VARIABLES).evaluate({"object": OBJECT, "n": 3})


TRUE = """
1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && 7 / -2 == -3 && 7 % -2 == 1 && -7 % 2 == -1
1u + 1u == 2u && 0x10 == 16 && 1.5e3 == 1500.0 && .5 == 0.5 && -9223372036854775808 < 0
dyn(1) == dyn(1.0) && dyn(1u) == dyn(1) && dyn(1) != dyn(true) && dyn(1) != dyn('1') && dyn(null) == null
1 < 1.5 && 2u > 1 && 1.0 <= 1u && n > 2.5 && b'a' < b'b' && 'a' < 'b' && false < true
'a' + "b" + '''c''' + \"\"\"d\"\"\" == 'abcd' && r'\\d' == '\\\\d' && '\\u00e9\\x41\\101' == 'éAA'
b'\\xff' + b'a' == b'\\xffa' && string(b'abc') == 'abc' && size(b'abc') == 3 && bytes('é').size() == 2
false && (1 / 0 == 1) == false || true || 1 / 0 == 1
!(false && object.nope) && !(object.nope && false) && (object.nope || true)
[1, 2, 3].all(x, x > 0) && ![1, 2].all(x, x > 1) && [1, 2].exists(x, x == 2) && [1, 2].exists_one(x, x > 1)
[0, 1].exists(x, 1 / x == 1) && ![0, 1].all(x, 1 / x == 2)
[1, 2, 3].map(x, x * 2) == [2, 4, 6] && [1, 2, 3].map(x, x > 1, x * 2) == [4, 6] && [1, 2].filter(x, x > 1) == [2]
[1, 2].map(x, [3, 4].map(y, x * y)) == [[3, 4], [6, 8]]
[5, 6].all(i, v, v == i + 5) && {'a': 1}.exists(k, v, k == 'a' && v == 1) && [1, 2].existsOne(i, v, i == 1)
[1, 2].transformList(i, v, i + v) == [1, 3] && [1, 2].transformList(i, v, i > 0, v) == [2]
{'a': 1}.transformMap(k, v, v + 1) == {'a': 2} && [7].transformMapEntry(i, v, {string(v): i}) == {'7': 0}
{'a': 1}.all(k, k == 'a') && 'a' in {'a': 1} && 2 in [1, 2] && !(dyn('2') in [1, 2]) && dyn(2.0) in [1, 2]
{'a': 1} == {'a': 1} && {'a': 1, 'b': 2} == {'b': 2, 'a': 1} && {1: 'x'}[1] == 'x' && {true: 1}[true] == 1
object.a.b == 1 && object['a']['b'] == 1 && has(object.a.b) && !has(object.a.c) && object.l[2] == 3
object.?x.?y.orValue(5) == 5 && object.?a.?b == optional.of(1) && object[?'l'][?1].orValue(0) == 2
optional.none().or(optional.of(2)).value() == 2 && optional.of(1).optMap(v, v + 1).orValue(0) == 2
optional.ofNonZeroValue(0) == optional.none() && optional.of(1).optFlatMap(v, optional.none()).hasValue() == false
[?optional.none(), ?optional.of(1), 2] == [1, 2] && {?'a': optional.none(), 'b': 1} == {'b': 1}
type(1) == int && type('a') == string && type(dyn(1.0)) == double && type([]) == list && type(null) == null_type
type({}) == map && type(duration('1s')) == google.protobuf.Duration && type(timestamp(0)) == type(timestamp(1))
int('12') == 12 && int(3.9) == 3 && int(-3.9) == -3 && uint('3') == 3u && double('1.5') == 1.5 && bool('true')
string(1) == '1' && string(1.0) == '1' && string(0.1) == '0.1' && string(true) == 'true' && string(3u) == '3'
string(1e21) == '1e+21' && string(1.5e-7) == '1.5e-07' && 1.0 / 0.0 > 1e308
timestamp('2023-01-02T03:04:05.5Z').getHours() == 3 && timestamp('2023-01-02T03:04:05+01:00').getHours() == 2
timestamp('2023-01-02T03:04:05Z').getHours('+02:00') == 5 && timestamp(0).getFullYear('UTC') == 1970
timestamp('2023-01-01T00:00:00Z').getDayOfWeek() == 0 && timestamp('2023-02-01T00:00:00Z').getMonth() == 1
string(timestamp('2023-01-02T03:04:05Z') + duration('90m')) == '2023-01-02T04:34:05Z'
timestamp('2023-01-02T00:00:00Z') - timestamp('2023-01-01T00:00:00Z') == duration('24h')
string(duration('1h30m0.5s')) == '5400.5s' && duration('90s').getMinutes() == 1 && duration('-1.5s').getSeconds() == -1
'hello'.contains('ell') && 'hello'.startsWith('he') && 'hello'.endsWith('lo') && 'hello'.matches('^h.*o$')
n in [1, 2, 3] ? true : 1 / 0 == 1
(n > 9 ? 1 : dyn('a')).startsWith('a') && [1, dyn('a')].exists(x, x == 'a') && (n > 9 ? [] : [1])[0] == 1
timestamp(0).getHours('') == 0
object.l.sum() == 6 && object.l.map(x, x + 1).max() == 4 && size(object.text) == 5 && object.text.size() == 5
""".strip().splitlines()


@pytest.mark.parametrize("text", TRUE)
def test_a_true_expression(text: str) -> None:
    assert evaluate(text.replace('\\"', '"')) is True


FAULTS = {
    "9223372036854775807 + 1 > 0": "integer overflow",
    "-9223372036854775808 / -1 > 0": "integer overflow",
    "-(-9223372036854775807 - 1) > 0": "integer overflow",
    "0u - 1u > 0u": "unsigned integer overflow",
    "1 / 0 == 1": "division by zero",
    "1 % 0 == 1": "modulus by zero",
    "object.x": "no such key: x",
    "object.a.b.c": "no such overload",
    "object.none.x": "no such overload",
    "object.l[3]": "index out of bounds: 3",
    "object.l[-1]": "index out of bounds: -1",
    "object.text && true": "no such overload",
    "object.text + 1": "no such overload",
    "object.l || object.l": "no such overload",
    "{'a': 1, 'a': 2} == {}": "Failed with repeated key: a",
    "int('x')": "type conversion error from 'string' to 'int'",
    "timestamp('x')": "type conversion error from 'string' to 'google.protobuf.Timestamp'",
    "timestamp('9999-12-31T23:59:59Z') + duration('1s')": "timestamp overflow",
    "optional.none().value()": "optional.none() dereference",
    "'a'.matches(object.text + '(')": "error parsing regexp: missing ): hello(",
    "object.text.all(x, x)": "got 'str', expected iterable type",
}


@pytest.mark.parametrize("text", FAULTS)
def test_an_expression_without_a_value(text: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate(text)
    assert str(caught.value) == FAULTS[text]


COMPILE_FAULTS = {
    "self ==": "1:8: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', "
    "'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | self ==\n | .......^",
    "object.spec. < 5": "1:14: Syntax error: no viable alternative at input '. <'\n | object.spec. < 5\n | .............^",
    "foo.bar": "1:1: undeclared reference to 'foo' (in container '')\n | foo.bar\n | ^",
    "nope(object)": "1:5: undeclared reference to 'nope' (in container '')\n | nope(object)\n | ....^",
    "'a' + 1": "1:5: found no matching overload for '_+_' applied to '(string, int)'\n | 'a' + 1\n | ....^",
    "n.x": "1:2: type 'int' does not support field selection\n | n.x\n | .^",
    "[1, 'a']": "1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^",
    "1 == 1.0": "1:3: found no matching overload for '_==_' applied to '(int, double)'\n | 1 == 1.0\n | ..^",
    "n.all(x, true)": "1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)"
    "\n | n.all(x, true)\n | ^",
    "\n(1": "2:3: Syntax error: missing ')' at '<EOF>'\n | (1\n | ..^",
    "'a": "1:1: Syntax error: token recognition error at: ''a'\n | 'a\n | ^",
    "for": "1:1: reserved identifier: for\n | for\n | ^",
    "has(n)": "1:4: invalid argument to has() macro\n | has(n)\n | ...^",
    "9223372036854775808": "1:1: invalid int literal\n | 9223372036854775808\n | ^",
    "7" * 5000: f"1:1: invalid int literal\n | {'7' * 5000}\n | ^",
}


@pytest.mark.parametrize("text", COMPILE_FAULTS)
def test_an_expression_that_is_none(text: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile_expression(text, VARIABLES)
    assert str(caught.value) == f"ERROR: <input>:{COMPILE_FAULTS[text]}"


@pytest.mark.parametrize(
    "text",
    [
        "[0,1,2,3,4,5,6,7,8,9].all(a, " * 7 + "true" + ")" * 7,
        "object.big.all(a, object.big.all(b, object.big.all(c, true)))",
        "object.big.map(a, object.big).map(b, b.map(c, object.big)).size() > 0",
        "object.big.filter(a, object.big.exists(b, a + b == 10000)).size() == 1",
        "sets.equivalent(object.big + object.big, object.big + object.big)",
        "object.deep == object.deeper",
    ],
)
def test_an_expression_stops_at_its_limit(text: str) -> None:
    deep, deeper = [1], [1]
    for _ in range(40):
        deep, deeper = [deep, deep], [deeper, deeper]
    program = compile_expression(text, VARIABLES)
    with pytest.raises(CostExceeded):
        program.evaluate({"object": {"big": list(range(2000)), "deep": deep, "deeper": deeper}})


@pytest.mark.parametrize("text", ["(" * 1000 + "1" + ")" * 1000, "[" * 1000, "-" * 3000 + "1", "a" + ".a" * 3000])
def test_deep_expressions_are_refused_or_shallow(text: str) -> None:
    with pytest.raises(CompileError):
        compile_expression(text + "+ 'x' + 1", VARIABLES)


def test_a_long_chain_of_conditions_is_not_deep() -> None:
    text = " || ".join(f"n == {number}" for number in range(5000))
    assert compile_expression(text, VARIABLES).evaluate({"n": 4999}) is True


def test_a_part_is_named_where_that_is_allowed() -> None:
    text = "cel.bind(x, object.a.b, cel.bind(y, x + 1, x + y)) == 3"
    assert compile_expression(text, {"object": DYN}, binds=True).evaluate({"object": {"a": {"b": 1}}}) is True
    with pytest.raises(CompileError, match="undeclared reference to 'cel'"):
        compile_expression(text, {"object": DYN})
    with pytest.raises(CompileError, match="argument must be a simple name"):
        compile_expression("cel.bind(1, 2, 3) == 3", {}, binds=True)
