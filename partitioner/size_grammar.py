"""The little language of symbolic sizes in a .pt2: names, sizes of inputs, whole numbers, arithmetic, comparisons."""

from __future__ import annotations

import ast
import re

__all__ = ["is_size_text"]

_MAX_CHARACTERS = 4_000
_SYMBOL = re.compile(r"[suz][0-9]+\Z")
_FUNCTIONS = frozenset(
    {
        "Symbol",
        "Integer",
        "Rational",
        "Float",
        "Add",
        "Mul",
        "Pow",
        "FloorDiv",
        "CleanDiv",
        "CeilDiv",
        "Mod",
        "PythonMod",
        "Max",
        "Min",
        "TruncToInt",
        "FloorToInt",
        "IntTrueDiv",
        "FloatTrueDiv",
        "ToFloat",
        "Eq",
        "Ne",
        "Equality",
        "Unequality",
        "LessThan",
        "StrictLessThan",
        "GreaterThan",
        "StrictGreaterThan",
        "And",
        "Or",
        "Not",
    }
)
_ASSUMPTIONS = frozenset({"positive", "integer", "nonnegative", "real", "precision"})
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def is_size_text(text: object) -> bool:
    """Whether `text` is an expression over sizes: calls of known functions, symbols like s85, integers, comparisons."""
    if not isinstance(text, str) or len(text) > _MAX_CHARACTERS:
        return False
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return _is_size(tree.body)


def _is_size(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=bool() | int()):
            return True
        case ast.Name(id=name):
            return bool(_SYMBOL.match(name))
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str(name))]):
            return bool(_SYMBOL.match(name)) and _are_assumptions(node.keywords)
        case ast.Call(func=ast.Name(id="Float"), args=[ast.Constant(value=str(number))]):
            return bool(re.match(r"[0-9.e+-]+\Z", number)) and _are_assumptions(node.keywords)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return name in _FUNCTIONS and all(map(_is_size, args))
        case ast.Subscript(
            value=ast.Call(func=ast.Attribute(value=tensor, attr="size"), args=[], keywords=[]),
            slice=ast.Constant(value=int()),
        ):
            return _is_input(tensor)
        case ast.BinOp(left, op, right):
            return isinstance(op, _OPERATORS) and _is_size(left) and _is_size(right)
        case ast.UnaryOp(op, operand):
            return isinstance(op, _OPERATORS) and _is_size(operand)
        case ast.BoolOp(op, values):
            return isinstance(op, _OPERATORS) and all(map(_is_size, values))
        case ast.Compare(left, ops, comparators):
            return all(isinstance(o, _COMPARISONS) for o in ops) and all(map(_is_size, [left, *comparators]))
        case _:
            return False


def _is_input(node: ast.expr) -> bool:
    """L['image'] or L['args'][0]: how guards name an input."""
    while isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        node = node.value
    return isinstance(node, ast.Name) and node.id == "L"


def _are_assumptions(keywords: list[ast.keyword]) -> bool:
    return all(k.arg in _ASSUMPTIONS and isinstance(k.value, ast.Constant) for k in keywords)
