"""Prints the declarations of one API's messages, from the schema facts that kafka-python carries.

    python tools/generate_messages.py ListOffsets > wire/messages/list_offsets.py

Names, types, versions, nullability, defaults and tags are taken; words are not: whoever runs this
writes the docstrings. The result is source to read and keep, not a build step.
"""

from __future__ import annotations

import re
import sys

from kafka.protocol.schemas import load_json

NUMBERS = {"int8", "int16", "int32", "int64", "uint16", "float64"}
FIXED = {*NUMBERS, "uuid", "bool", "string", "bytes", "records"}
SPECIFIERS = {"bool": "boolean", "bytes": "binary", "records": "record_set"}
STATIC_TYPES = {
    "bool": "bool",
    "string": "str",
    "uuid": "bytes",
    "bytes": "bytes",
    "float64": "float",
}
LATEST = 32767


def bounds(text: str) -> tuple[int, int]:
    """The first and last of "3+", "0-12" or "7"."""
    if text.endswith("+"):
        return int(text[:-1]), LATEST
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def within(text: str, first: int, last: int) -> str:
    """`text` cut to first..last, in the shortest form; "" for all of them, "-" for none."""
    low, high = bounds(text)
    if max(low, first) > min(high, last):
        return "-"
    if low <= first and high >= last:
        return ""
    if high >= last:
        return f"{low}+"
    low = max(low, first)
    return f"{low}-{high}" if low != high else f"{low}"


def default_of(field: dict, is_optional: bool) -> str:
    """The source of the field's default, or "" where the constructor is to insist on a value."""
    given = field.get("default")
    kind = field["type"]
    if kind.startswith("[]"):
        if given == "null":
            return "None"
        return "()" if is_optional else ""
    if kind not in FIXED:
        return "None"
    if given is None:
        if not is_optional:
            return ""
        given = {"string": "", "bytes": "", "records": "null", "bool": "false"}.get(kind, "0")
    if given == "null":
        return "None"
    if kind == "string":
        return f'"{given}"'
    if kind == "bool":
        return "True" if str(given) == "true" else "False"
    if kind == "uuid":
        return "NIL_UUID"
    if kind == "float64":
        return str(float(given))
    number = int(str(given), 0)
    names = {(1 << 63) - 1: "2**63 - 1", (1 << 31) - 1: "2**31 - 1", -(1 << 31): "-(2**31)"}
    return names.get(number, str(number))


class Generator:
    """Collects the classes of one file in the order in which they must be declared."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        # The struct first declared under each name, and the schemas of those shared by name.
        self.declared: dict[str, str] = {}
        self.shared: dict[str, list[dict]] = {}
        self.used: set[str] = set()
        self.is_request = False

    def message(self, schema: dict) -> None:
        base = "Request" if schema["type"] == "request" else "Response"
        self.used.add(base)
        self.is_request = base == "Request"
        api = schema["name"].removesuffix(base)
        key = snake_case(api).upper()
        arguments = [f"api_key=ApiKey.{key}", f'versions="{schema["validVersions"]}"']
        if schema["flexibleVersions"] != "none":
            arguments.append(f'flexible="{schema["flexibleVersions"]}"')
        first, last = bounds(schema["validVersions"])
        self.shared = {part["name"]: part["fields"] for part in schema.get("commonStructs", [])}
        self.struct(
            schema["name"], f"{base}, {', '.join(arguments)}", schema["fields"], first, last
        )

    def struct(self, name: str, bases: str, fields: list[dict], first: int, last: int) -> str:
        """The name under which the struct is declared.

        A request and its response may each have a struct of one name: where they differ, the
        response's has "Response" in front.
        """
        lines = [line for field in fields if (line := self.field(field, first, last))]
        body = "\n".join(lines)
        if self.declared.get(name) == body:
            return name
        if name in self.declared:
            name = f"Response{name}"
        assert name not in self.declared, name
        self.declared[name] = body
        self.blocks.append(f"class {name}({bases}):\n" + '    """?"""\n\n' + body)
        return name

    def field(self, field: dict, first: int, last: int) -> str:
        at = within(field["versions"], first, last)
        if at == "-":
            return ""
        kind = field["type"]
        element = kind.removeprefix("[]")
        nullable = (
            within(field["nullableVersions"], first, last) if "nullableVersions" in field else "-"
        )
        low, high = bounds(field["versions"])
        if element not in FIXED:
            self.used.add("Struct")
            fields = field["fields"] if "fields" in field else self.shared[element]
            name = self.struct(element, "Struct", fields, max(low, first), min(high, last))
            kind = kind.replace(element, name)
            element = name
        arguments = [f'"{at}"'] if at else []
        if nullable != "-":
            arguments.append(f'nullable="{nullable or "0+"}"')
        if "tag" in field:
            assert field["taggedVersions"] == field["versions"], field["name"]
            arguments.append(f"tag={field['tag']}")
        # Every answer has a throttle time, and it is nearly always 0.
        is_optional = bool(at) or "tag" in field or field["name"] == "ThrottleTimeMs"
        default = default_of(field, is_optional)
        if default:
            arguments.append(f"default={default}")
            if default == "NIL_UUID":
                self.used.add("NIL_UUID")
        if kind.startswith("[]"):
            static = (
                f"list[{STATIC_TYPES.get(element, element if element not in FIXED else 'int')}]"
            )
            specifier = "array" if element not in FIXED else f"{element}_array"
            if element not in FIXED:
                arguments.insert(0, element)
        elif kind in FIXED:
            static = STATIC_TYPES.get(kind, "int")
            specifier = SPECIFIERS.get(kind, kind)
            if kind == "records":
                static = "memoryview" if self.is_request else "Records"
                if static == "Records":
                    self.used.add(static)
        else:
            static, specifier = f"{kind} | None", "struct"
            arguments.insert(0, element)
        if nullable != "-" and not static.endswith("None"):
            static += " | None"
        self.used.add(specifier)
        return f"    {snake_case(field['name'])}: {static} = {specifier}({', '.join(arguments)})"

    def text(self, api: str) -> str:
        head = f'"""{api}: ?"""\n\nfrom __future__ import annotations\n\n'
        imports = "from wire.api_key import ApiKey\nfrom wire.schema import (\n"
        imports += "".join(f"    {name},\n" for name in sorted(self.used)) + ")\n"
        return head + imports + "\n\n" + "\n\n\n".join(self.blocks) + "\n"


def main() -> None:
    api = sys.argv[1]
    generator = Generator()
    for kind in ("Request", "Response"):
        generator.message(load_json(api + kind))
    sys.stdout.write(generator.text(api))


if __name__ == "__main__":
    main()
