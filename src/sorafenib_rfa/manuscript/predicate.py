"""Predicates of ``claims.yaml``: a tiny expression language over ARD rows.

They are parsed with `ast`, held against a list of allowed nodes and never evaluated as Python.

Grammar: comparisons (also chained), ``and``, ``or``, ``not``, ``+ - * /``, numbers, ``alias.value``,
``alias.ci_low``, ``alias.ci_high``, ``alias.p_value``, ``is_estimable(alias)`` (its value) and
``is_estimable(alias.ci_low)``.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

FIELDS: Final = ("value", "ci_low", "ci_high", "p_value")
_COMPARE: Final[dict[type, Callable[[float, float], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: Final[dict[type, Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class PredicateError(ValueError):
    """The predicate cannot be read; the message says which part."""


class NotEstimableError(ValueError):
    """The predicate compares a value that could not be estimated; the message names it."""


@dataclass(frozen=True)
class Predicate:
    """A parsed predicate.

    Attributes
    ----------
    source : str
        As the author wrote it.
    tree : ast.expr
        Checked syntax tree: only the nodes of the grammar.
    aliases : tuple of str
        Aliases it uses, sorted.
    """

    source: str
    tree: ast.expr
    aliases: tuple[str, ...]

    def holds(self, rows: Mapping[str, Mapping[str, Any]]) -> bool:
        """Return whether the predicate is true of `rows` (alias -> ARD row).

        Raises
        ------
        NotEstimableError
            If a NaN is compared; ``and``/``or`` stop early, so ``is_estimable(x) and x.value > 1`` is safe.
        PredicateError
            If a division by zero occurs.
        """
        return bool(_truth(self.tree, rows))


def parse_predicate(source: str, aliases: Collection[str]) -> Predicate:
    """Return `source` as a predicate over `aliases`.

    Raises
    ------
    PredicateError
        If it is no expression of the grammar or names an alias or a field that does not exist.
    """
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise PredicateError(f"it is not an expression: {getattr(error, 'msg', error)}") from None
    used: set[str] = set()
    _check_truth(tree, set(aliases), used)
    return Predicate(source, tree, tuple(sorted(used)))


def _unknown(name: str, known: Collection[str], what: str) -> PredicateError:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    return PredicateError(f"there is no {what} {name!r} (there is {', '.join(sorted(known)) or 'none'}){guess}")


def _check_field(node: ast.expr, aliases: set[str], used: set[str]) -> None:
    if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
        raise PredicateError(f"{ast.unparse(node)!r} is not allowed; write alias.value, alias.ci_low, ...")
    if node.value.id not in aliases:
        raise _unknown(node.value.id, aliases, "alias")
    if node.attr not in FIELDS:
        raise _unknown(node.attr, FIELDS, "field")
    used.add(node.value.id)


def _check_truth(node: ast.expr, aliases: set[str], used: set[str]) -> None:
    match node:
        case ast.BoolOp(values=values):
            for value in values:
                _check_truth(value, aliases, used)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _check_truth(operand, aliases, used)
        case ast.Compare(left=left, ops=ops, comparators=rights):
            for op in ops:
                if type(op) not in _COMPARE:
                    raise PredicateError(f"this comparison is not allowed in {ast.unparse(node)!r}")
            for side in (left, *rights):
                _check_number(side, aliases, used)
        case ast.Call(func=ast.Name(id="is_estimable"), args=[argument], keywords=[]):
            if isinstance(argument, ast.Name):
                if argument.id not in aliases:
                    raise _unknown(argument.id, aliases, "alias")
                used.add(argument.id)
            else:
                _check_field(argument, aliases, used)
        case _:
            raise PredicateError(f"{ast.unparse(node)!r} is neither true nor false; compare it with something")


def _check_number(node: ast.expr, aliases: set[str], used: set[str]) -> None:
    match node:
        case ast.Constant(value=bool()):
            raise PredicateError(f"{node.value!r} is not a number")
        case ast.Constant(value=int() | float()):
            return
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _check_number(operand, aliases, used)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            _check_number(left, aliases, used)
            _check_number(right, aliases, used)
        case ast.Name():
            raise (
                PredicateError(f"{node.id!r} is a whole row; write {node.id}.value, {node.id}.ci_low, ...")
                if node.id in aliases
                else _unknown(node.id, aliases, "alias")
            )
        case _:
            _check_field(node, aliases, used)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):  # pandas.NA and None
        return math.nan


def _value(node: ast.expr, rows: Mapping[str, Mapping[str, Any]]) -> float:
    match node:
        case ast.Constant(value=value):
            return float(value)
        case ast.UnaryOp(op=op, operand=operand):
            number = _value(operand, rows)
            return -number if isinstance(op, ast.USub) else number
        case ast.BinOp(left=left, op=op, right=right):
            try:
                return _ARITHMETIC[type(op)](_value(left, rows), _value(right, rows))
            except ZeroDivisionError:
                raise PredicateError(f"{ast.unparse(node)!r} divides by zero") from None
        case ast.Attribute(value=ast.Name(id=alias), attr=attribute):
            number = _number(rows[alias].get(attribute))
            if math.isnan(number):
                raise NotEstimableError(f"{alias}.{attribute}")
            return number
    raise AssertionError("checked by parse_predicate")


def _truth(node: ast.expr, rows: Mapping[str, Mapping[str, Any]]) -> bool:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_truth(value, rows) for value in values)
        case ast.BoolOp(values=values):
            return any(_truth(value, rows) for value in values)
        case ast.UnaryOp(operand=operand):
            return not _truth(operand, rows)
        case ast.Call(args=[ast.Name(id=alias)]):
            return not math.isnan(_number(rows[alias].get("value")))
        case ast.Call(args=[ast.Attribute(value=ast.Name(id=alias), attr=attribute)]):
            return not math.isnan(_number(rows[alias].get(attribute)))
        case ast.Compare(left=left, ops=ops, comparators=rights):
            numbers = [_value(side, rows) for side in (left, *rights)]
            return all(_COMPARE[type(op)](a, b) for op, a, b in zip(ops, numbers, numbers[1:], strict=False))
    raise AssertionError("checked by parse_predicate")
