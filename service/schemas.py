"""How types are written down as JSON Schema, for both contracts."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import get_original_bases, is_typeddict

documented = with_config(ConfigDict(use_attribute_docstrings=True))
"""Of a TypedDict: its schema quotes the strings under its fields."""


def untitled(schema: Any) -> Any:
    """Without titles, which only repeat names."""
    if isinstance(schema, list):
        return [untitled(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: untitled(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)}


def inherit_words(kind: type[Any], schema: dict[str, Any]) -> None:
    """What the parents of a TypedDict say of their fields: pydantic reads a class's own lines alone."""
    for parent in get_original_bases(kind):
        if is_typeddict(parent):
            for name, field in TypeAdapter(parent).json_schema()["properties"].items():
                if "description" in field:
                    schema["properties"][name].setdefault("description", field["description"])


def draft07(schema: Any) -> Any:
    """As AsyncAPI has it: nothing stands beside a reference, and a tuple is a list of `items`."""
    if isinstance(schema, list):
        return [draft07(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: draft07(value) for key, value in schema.items()}
    if "$ref" in told and len(told) > 1:
        return {"allOf": [{"$ref": told.pop("$ref")}], **told}
    if "prefixItems" in told:
        told["items"] = told.pop("prefixItems")
    return told
