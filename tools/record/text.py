"""Plain data as text that a person reads and `diff` compares: a small, fixed form of YAML.

What fits in one line stands in one line; the rest is opened, one level of indentation at a time.
"""

import json

Tree = dict[str, "Tree"] | list["Tree"] | str | int | bool | None

LINE_WIDTH = 140
"""Wider than code: most structs then stand in one line."""


class Symbol(str):
    """A name rather than a text: written without quotes."""

    __slots__ = ()


def render(tree: Tree, indent: int = 0) -> str:
    """The lines of a tree, the last one ended as well; an empty mapping has none."""
    return "".join(f"{' ' * indent}{line}\n" for line in _lines(tree, LINE_WIDTH - indent))


def inline(tree: Tree) -> str:
    """A tree in one line."""
    if isinstance(tree, Symbol):
        return str(tree)
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {inline(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(inline(value) for value in tree) + "]"
    return json.dumps(tree, ensure_ascii=True)


def _lines(tree: Tree, width: int) -> list[str]:
    if isinstance(tree, dict):
        return [line for key, value in tree.items() for line in _entry(f"{key}:", value, width)]
    if isinstance(tree, list):
        return [line for value in tree for line in _item(value, width)]
    return [inline(tree)]


def _entry(key: str, value: Tree, width: int) -> list[str]:
    line = f"{key} {inline(value)}"
    if len(line) <= width or not isinstance(value, dict | list) or not value:
        return [line]
    return [key, *(f"  {inner}" for inner in _lines(value, width - 2))]


def _item(value: Tree, width: int) -> list[str]:
    line = f"- {inline(value)}"
    if len(line) <= width or not isinstance(value, dict | list) or not value:
        return [line]
    first, *rest = _lines(value, width - 2)
    return [f"- {first}", *(f"  {inner}" for inner in rest)]
