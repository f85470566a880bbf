"""Text -> syntax tree, with the macros recognised.

Source: the CEL language definition, "Syntax"; the messages are those of the original's parser.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from kubecel.syntax import (
    Call,
    Faults,
    Fold,
    Ident,
    ListNode,
    Literal,
    MapNode,
    Node,
    OptionalMap,
    Select,
    Struct,
    children,
)
from kubecel.values import MAX_INT, MAX_UINT, UInt

MAX_DEPTH = 50
"""Levels of nesting of an expression; upstream allows 250 of its own grammar, five or so for each of these."""
MAX_TREE_DEPTH = 150  # what follows is recursive
MAX_LENGTH = 100_000  # characters, as upstream
MOST_DIGITS = 4000  # of an integer: Python refuses to read longer ones

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f]+|//[^\n]*)
      | (?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
      | (?P<int>(?:0[xX][0-9a-fA-F]+|\d+)[uU]?)
      | (?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:\"\"\"|'''|"|'))
      | (?P<ident>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<quoted>`[A-Za-z0-9_.\-/ ]+`)
      | (?P<op>==|!=|<=|>=|&&|\|\||[-+*/%!<>?:.,()\[\]{}])""",
    re.VERBOSE,
)
RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_LEVELS = [("||",), ("&&",), ("<", "<=", ">=", ">", "==", "!=", "in"), ("+", "-"), ("*", "/", "%")]
_BINARY = frozenset(operator for level in _LEVELS for operator in level)
_STARTS = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "?": 63, '"': 34, "'": 39, "`": 96}
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|X([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.S
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    offset: int
    value: Any = None


class _Stop(Exception):
    """The text ends to be an expression here; the fault is noted."""


def parse(text: str, faults: Faults, *, binds: bool = False) -> Node | None:
    """Returns the tree, or None with faults noted. `binds`: `cel.bind(name, value, expression)` is a macro, too."""
    if len(text) > MAX_LENGTH:
        faults.add(0, f"expression code point size exceeds limit: size: {len(text)}, limit {MAX_LENGTH}")
        return None
    try:
        node = _Parser(text, faults, binds).whole()
    except _Stop:
        return None
    if _depth(node) > MAX_TREE_DEPTH:
        faults.add(0, f"expression recursion limit exceeded: {MAX_TREE_DEPTH}")
        return None
    return node


def _depth(node: Node) -> int:
    """Counts the levels of the tree, without recursion: it may be deep."""
    level, count = [node], 0
    while level:
        level, count = [child for parent in level for child in children(parent)], count + 1
    return count


def _grouped(operands: list[Node], operators: list[Token]) -> Node:
    """Makes a tree of `a + b * c ...`: operators of a level group from the left, `&&` and `||` evenly."""
    if not operators:
        return operands[0]
    texts = {token.text for token in operators}
    level = next(level for level in _LEVELS if texts.intersection(level))
    places = [at for at, token in enumerate(operators) if token.text in level]
    bounds = zip((0, *(at + 1 for at in places)), (*places, len(operators)), strict=True)
    terms = [_grouped(operands[low : high + 1], operators[low:high]) for low, high in bounds]
    splits = [operators[at] for at in places]
    if level[0] in ("||", "&&"):
        return _balanced(terms, splits)
    node = terms[0]
    for token, term in zip(splits, terms[1:], strict=True):
        node = _operation(token, node, term)
    return node


def _balanced(terms: list[Node], splits: list[Token]) -> Node:
    if not splits:
        return terms[0]
    half = len(splits) // 2
    return _operation(
        splits[half], _balanced(terms[: half + 1], splits[:half]), _balanced(terms[half + 1 :], splits[half + 1 :])
    )


def _operation(token: Token, left: Node, right: Node) -> Node:
    return Call(token.offset, "@in" if token.text == "in" else f"_{token.text}_", None, [left, right])


class _Parser:
    def __init__(self, text: str, faults: Faults, binds: bool) -> None:
        self._text, self._faults, self._binds = text, faults, binds
        self._tokens = self._lexed()
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._expression()
        if (rest := self._tokens[self._at]).kind != "end":
            self._fail(
                rest,
                f"Syntax error: extraneous input '{rest.text}' expecting <EOF>"
                if rest.kind == "op"
                else f"Syntax error: mismatched input '{rest.text}' expecting <EOF>",
            )
        return node

    def _fail(self, token: Token, message: str) -> NoReturn:
        self._faults.add(token.offset, message)
        raise _Stop

    def _lexed(self) -> list[Token]:
        tokens, at, text = [], 0, self._text
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                self._faults.add(at, f"Syntax error: token recognition error at: '{text[at]}'")
                raise _Stop
            kind, word, end = str(match.lastgroup), match.group(), match.end()
            if kind == "string":
                value, end = self._string(word, at, end)
                tokens.append(Token("string", text[at:end], at, value))
            elif kind != "space":
                tokens.append(Token("ident" if kind == "quoted" else kind, word, at, kind == "quoted"))
            at = end
        tokens.append(Token("end", "<EOF>", len(text)))
        return tokens

    def _string(self, opening: str, start: int, at: int) -> tuple[Any, int]:
        prefix, quote = opening.rstrip("\"'").lower(), opening.lstrip("rRbB")
        raw, end = "r" in prefix, at
        while not self._text.startswith(quote, end):
            if end >= len(self._text) or (len(quote) == 1 and self._text[end] in "\r\n"):
                self._faults.add(start, f"Syntax error: token recognition error at: '{self._text[start:end]}'")
                raise _Stop
            end += 2 if self._text[end] == "\\" and not raw else 1
        body = self._text[at:end]
        value: str | bytes = body if raw else self._unescaped(body, "b" in prefix, start)
        if "b" in prefix and isinstance(value, str):
            value = value.encode()
        return value, end + len(quote)

    def _unescaped(self, body: str, as_bytes: bool, start: int) -> str | bytes:
        parts: list[bytes] = []
        end = 0
        for match in _ESCAPE.finditer(body):
            parts.append(body[end : match.start()].encode())
            end = match.end()
            small, big, u4, u8, octal, plain = match.groups()
            if plain is not None:
                if plain not in _ESCAPES:
                    self._faults.add(start, f"Syntax error: token recognition error at: '{body[: match.end()]}'")
                    raise _Stop
                number = _ESCAPES[plain]
            else:
                number = int(octal, 8) if octal else int(small or big or u4 or u8, 16)
            if 0xD800 <= number < 0xE000 or number > 0x10FFFF or (as_bytes and (u4 or u8)):
                self._faults.add(start, "invalid unicode code point")
                raise _Stop
            parts.append(bytes([number]) if as_bytes else chr(number).encode())
        value = b"".join((*parts, body[end:].encode()))
        return value if as_bytes else value.decode()

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(self._tokens[self._at], f"expression recursion limit exceeded: {MAX_DEPTH}")
        node = self._binary()
        if (token := self._take("?")) is not None:
            yes = self._binary()
            self._expect(":")
            node = Call(token.offset, "_?_:_", None, [node, yes, self._expression()])
        self._depth -= 1
        return node

    def _binary(self) -> Node:
        operands, operators = [self._unary()], []
        while (token := self._tokens[self._at]).text in _BINARY and token.kind in ("op", "ident"):
            self._at += 1
            operators.append(token)
            operands.append(self._unary())
        return _grouped(operands, operators)

    def _unary(self) -> Node:
        token = self._tokens[self._at]
        if token.kind == "op" and token.text in "!-":
            count = 0
            while self._tokens[self._at].text == token.text:
                self._at, count = self._at + 1, count + 1
            following = self._tokens[self._at]
            if token.text == "-" and count == 1 and following.kind in ("int", "float"):
                self._at += 1
                return self._member(self._number(following, token.offset, "-"))
            node = self._member(self._primary())
            return Call(token.offset, f"{token.text}_", None, [node]) if count % 2 else node
        return self._member(self._primary())

    def _member(self, node: Node) -> Node:
        while True:
            if (dot := self._take(".")) is not None:
                node = self._selected(node, dot)
            elif (bracket := self._take("[")) is not None:
                optional = self._take("?") is not None
                index = self._expression()
                self._expect("]")
                node = Call(bracket.offset, "_[?_]" if optional else "_[_]", None, [node, index])
            elif self._tokens[self._at].text == "{" and (name := qualified_name(node)):
                node = self._struct(name)
            else:
                return node

    def _selected(self, node: Node, dot: Token) -> Node:
        optional = self._take("?") is not None
        name = self._tokens[self._at]
        if name.kind != "ident" or name.text == "in":
            if name.kind == "end":
                self._fail(name, "Syntax error: mismatched input '<EOF>' expecting {'?', IDENTIFIER, ESC_IDENTIFIER}")
            between = self._text[dot.offset + 1 : name.offset]
            self._fail(name, f"Syntax error: no viable alternative at input '.{between}{name.text}'")
        self._at += 1
        if not optional and not name.value and (bracket := self._take("(")) is not None:
            args = self._listed(")")
            return self._macro(node, name, bracket, args) or Call(bracket.offset, name.text, node, args)
        return Select(dot.offset, node, name.text.strip("`"), optional)

    def _primary(self) -> Node:
        token = self._tokens[self._at]
        self._at += 1
        match token.kind, token.text:
            case "int" | "float", _:
                return self._number(token, token.offset)
            case "string", _:
                return Literal(token.offset, token.value)
            case "ident", "true" | "false" | "null":
                return Literal(token.offset, {"true": True, "false": False, "null": None}[token.text])
            case "ident", word if word != "in" and not token.value:
                return self._named(token)
            case "op", ".":
                return self._named(self._expect_ident())
            case "op", "(":
                node = self._expression()
                self._expect(")")
                return node
            case "op", "[":
                return self._list(token)
            case "op", "{":
                return self._map(token)
        how = "mismatched" if token.kind == "end" else "extraneous"
        return self._fail(token, f"Syntax error: {how} input '{token.text}' expecting {_STARTS}")

    def _named(self, token: Token) -> Node:
        if token.text in RESERVED:
            self._fail(token, f"reserved identifier: {token.text}")
        if (bracket := self._take("(")) is None:
            return Ident(token.offset, token.text)
        args = self._listed(")")
        if token.text == "has" and len(args) == 1:
            chosen = args[0]
            if not isinstance(chosen, Select):
                self._fail(bracket, "invalid argument to has() macro")
            return Select(bracket.offset, chosen.operand, chosen.name, test_only=True)
        return Call(bracket.offset, token.text, None, args)

    def _number(self, token: Token, offset: int, sign: str = "") -> Literal:
        if token.kind == "float":
            return Literal(offset, float(sign + token.text))
        text = token.text.rstrip("uU")
        number = MAX_UINT + 1
        if len(text) <= MOST_DIGITS:
            number = int(sign + text, 16 if text[:2].lower() == "0x" else 10)
        if text != token.text:
            if sign or number > MAX_UINT:
                self._fail(token, "invalid uint literal")
            return Literal(offset, UInt(number))
        if not -MAX_INT - 1 <= number <= MAX_INT:
            self._fail(token, "invalid int literal")
        return Literal(offset, number)

    def _listed(self, end: str) -> list[Node]:
        """Expressions with commas between them, and the bracket behind them."""
        items: list[Node] = []
        while self._take(end) is None:
            items.append(self._expression())
            if self._take(",") is None:
                self._expect(end)
                break
        return items

    def _list(self, bracket: Token) -> Node:
        node = ListNode(bracket.offset, [], set())
        while self._take("]") is None:
            if self._take("?") is not None:
                node.optional.add(len(node.items))
            node.items.append(self._expression())
            if self._take(",") is None:
                self._expect("]")
                break
        return node

    def _map(self, bracket: Token) -> Node:
        node = MapNode(bracket.offset, [])
        while self._take("}") is None:
            optional = self._take("?") is not None
            key = self._expression()
            self._expect(":")
            node.entries.append((key, self._expression(), optional))
            if self._take(",") is None:
                self._expect("}")
                break
        return node

    def _struct(self, name: str) -> Node:
        node = Struct(self._expect("{").offset, name, [])
        while self._take("}") is None:
            optional = self._take("?") is not None
            key = self._expect_ident()
            colon = self._expect(":")
            node.entries.append((key.text.strip("`"), self._expression(), optional, colon.offset))
            if self._take(",") is None:
                self._expect("}")
                break
        return node

    def _macro(self, target: Node, name: Token, bracket: Token, args: list[Node]) -> Node | None:
        """The macro that the call stands for, or None: then it is a method."""
        if self._binds and qualified_name(target) == "cel" and (name.text, len(args)) == ("bind", 3):
            one, renamed = ListNode(bracket.offset, [args[1]], set()), replace(name, text="map")
            bound = self._macro(one, renamed, bracket, [args[0], args[2]])  # the only item of [value].map(name, result)
            assert bound is not None
            return Call(bracket.offset, "_[_]", None, [bound, Literal(bracket.offset, 0)])
        shape = _MACROS.get((name.text, len(args)))
        if shape is None:
            return None
        count, has_condition, has_result = shape
        variables = []
        for arg in args[:count]:
            if not isinstance(arg, Ident):
                self._fail(Token("op", "", arg.offset), "argument must be a simple name")
            variables.append(arg.name)
        if len(set(variables)) < count:
            self._fail(Token("op", "", args[1].offset), f"duplicate variable name: {variables[0]}")
        if name.text in ("optMap", "optFlatMap"):
            return OptionalMap(bracket.offset, target, variables[0], args[1], name.text == "optFlatMap")
        macro = {"exists_one": "existsOne"}.get(name.text, name.text)
        condition = args[count] if has_condition else None
        return Fold(bracket.offset, macro, target, variables, condition, args[-1] if has_result else None)

    def _take(self, text: str) -> Token | None:
        token = self._tokens[self._at]
        if token.kind == "op" and token.text == text:
            self._at += 1
            return token
        return None

    def _expect(self, text: str) -> Token:
        token = self._take(text)
        if token is None:
            bad = self._tokens[self._at]
            how = "missing" if bad.kind == "end" else "mismatched input"
            told = (
                f"missing '{text}' at '<EOF>'"
                if how == "missing"
                else f"mismatched input '{bad.text}' expecting '{text}'"
            )
            self._fail(bad, f"Syntax error: {told}")
        return token

    def _expect_ident(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "ident":
            self._fail(token, f"Syntax error: mismatched input '{token.text}' expecting IDENTIFIER")
        self._at += 1
        return token


_MACROS: dict[tuple[str, int], tuple[int, bool, bool]] = {
    **{(name, 2): (1, True, False) for name in ("all", "exists", "exists_one", "existsOne", "filter")},
    **{(name, 3): (2, True, False) for name in ("all", "exists", "exists_one", "existsOne")},
    ("map", 2): (1, False, True),
    ("map", 3): (1, True, True),
    **{(name, 3): (2, False, True) for name in ("transformList", "transformMap", "transformMapEntry")},
    **{(name, 4): (2, True, True) for name in ("transformList", "transformMap", "transformMapEntry")},
    ("optMap", 2): (1, False, True),
    ("optFlatMap", 2): (1, False, True),
}
"""Macros by name and number of arguments: how many of these are variables, is there a condition, is there a result."""


def qualified_name(node: Node) -> str:
    """Returns "a.b.c" of a chain of names, "" for anything else."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.test_only and not node.optional:
        before = qualified_name(node.operand)
        return f"{before}.{node.name}" if before else ""
    return ""
