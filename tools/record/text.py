"""Plain data as text that a person reads and `diff` compares: a small, fixed form of YAML.

What fits in one line stands in one line; the rest is opened, one level of indentation at a time.
"""

import json
import re

Tree = dict[str, "Tree"] | list["Tree"] | str | int | bool | None

LINE_WIDTH = 140
"""Wider than code: most structs then stand in one line."""

KEY = re.compile(r"([\w.-]+):( .*)?$")
WORD = re.compile(r"[^,\]}]+")
NUMBER = re.compile(r"-?\d+")
CONSTANTS = {"null": None, "true": True, "false": False}


class Symbol(str):
    """A name rather than a text: written without quotes. It holds no comma and no bracket."""

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


def parse(text: str) -> Tree:
    """The tree that `render` made this text of; no lines are an empty mapping."""
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines()]
    tree, end = _parse_block(lines, 0)
    assert end == len(lines), f"not understood: {lines[end]}"
    return tree


def _parse_block(lines: list[tuple[int, str]], at: int) -> tuple[Tree, int]:
    """The value that starts at a line, of this line's indentation, and the line after it."""
    if at == len(lines):
        return {}, at
    indent, first = lines[at]
    if first.startswith("- "):
        return _parse_items(lines, at, indent)
    if KEY.match(first):
        return _parse_mapping(lines, at, indent)
    return _parse_inline(first), at + 1


def _parse_items(lines: list[tuple[int, str]], at: int, indent: int) -> tuple[Tree, int]:
    items: list[Tree] = []
    while at < len(lines) and lines[at][0] == indent and lines[at][1].startswith("- "):
        # What follows the dash is a block of its own, two columns further in.
        lines[at] = indent + 2, lines[at][1][2:]
        item, at = _parse_block(lines, at)
        items.append(item)
    return items, at


def _parse_mapping(lines: list[tuple[int, str]], at: int, indent: int) -> tuple[Tree, int]:
    mapping: dict[str, Tree] = {}
    while at < len(lines) and lines[at][0] == indent:
        found = KEY.match(lines[at][1])
        assert found, f"not an entry: {lines[at]}"
        key, rest = found[1], found[2]
        if rest:
            mapping[key], at = _parse_inline(rest.lstrip()), at + 1
        else:
            mapping[key], at = _parse_block(lines, at + 1)
    return mapping, at


def _parse_inline(text: str) -> Tree:
    value, end = _parse_value(text, 0)
    assert end == len(text), f"not understood: {text[end:]}"
    return value


def _parse_value(text: str, at: int) -> tuple[Tree, int]:
    if text[at] == "{":
        return _parse_braces(text, at + 1)
    if text[at] == "[":
        return _parse_brackets(text, at + 1)
    if text[at] == '"':
        value, end = json.JSONDecoder().raw_decode(text, at)
        return str(value), end
    found = WORD.match(text, at)
    assert found, f"not understood: {text[at:]}"
    word = found[0]
    if word in CONSTANTS:
        return CONSTANTS[word], found.end()
    return (int(word) if NUMBER.fullmatch(word) else Symbol(word)), found.end()


def _parse_braces(text: str, at: int) -> tuple[Tree, int]:
    mapping: dict[str, Tree] = {}
    while text[at] != "}":
        key, _, _ = text[at:].partition(": ")
        mapping[key], at = _parse_value(text, at + len(key) + 2)
        at += 2 * text.startswith(", ", at)
    return mapping, at + 1


def _parse_brackets(text: str, at: int) -> tuple[Tree, int]:
    elements: list[Tree] = []
    while text[at] != "]":
        element, at = _parse_value(text, at)
        elements.append(element)
        at += 2 * text.startswith(", ", at)
    return elements, at + 1
