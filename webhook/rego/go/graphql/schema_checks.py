"""Checks GraphQL schemas as the library does that OPA uses: what is defined, and whether it fits together."""

from __future__ import annotations

from typing import Any, Final

from webhook.rego.context import BuiltinError, Context
from webhook.rego.go.graphql.parser import Node

_SCALARS: Final = ("Int", "Float", "String", "Boolean", "ID")
_INPUTS: Final = frozenset(("SCALAR", "ENUM", "INPUT_OBJECT"))
_OUTPUTS: Final = frozenset(("SCALAR", "OBJECT", "INTERFACE", "UNION", "ENUM"))
_INTROSPECTION: Final = ["__Schema", "__Directive", "__Type", "__Field", "__InputValue", "__EnumValue"]
_ENUMERATIONS: Final = ("__DirectiveLocation", "__TypeKind")


def _type(name: str, *, needed: bool = False) -> Node:
    return {"NamedType": name, "NonNull": needed}


def _directive(name: str, locations: str, **arguments: Node) -> Node:
    found = [{"Name": argument, **of} for argument, of in arguments.items()]
    return {"Name": name, "Locations": locations.split(), "Arguments": found}


_FRAGMENTS: Final = "FRAGMENT_SPREAD INLINE_FRAGMENT"
_DIRECTIVES: Final = (
    _directive("include", f"FIELD {_FRAGMENTS}", **{"if": {"Type": _type("Boolean", needed=True)}}),
    _directive("skip", f"FIELD {_FRAGMENTS}", **{"if": {"Type": _type("Boolean", needed=True)}}),
    _directive(
        "deprecated",
        "FIELD_DEFINITION ARGUMENT_DEFINITION INPUT_FIELD_DEFINITION ENUM_VALUE",
        reason={"Type": _type("String"), "DefaultValue": {"Kind": 3}},
    ),
    _directive("specifiedBy", "SCALAR", url={"Type": _type("String", needed=True)}),
    _directive("defer", _FRAGMENTS, **{"if": {"Type": _type("Boolean"), "DefaultValue": {"Kind": 5}}}),
    _directive("oneOf", "INPUT_OBJECT"),
)
_OWN: Final = frozenset(directive["Name"] for directive in _DIRECTIVES)


class SchemaError(BuiltinError):
    """A schema that doesn't fit together."""


class _Schema:
    """Types and directives of a document, with those that always are."""

    def __init__(self, context: Context, document: Node) -> None:
        self.context = context
        self.types: dict[str, Node] = {
            name: {"Kind": "SCALAR", "Name": name, "BuiltIn": True} for name in _SCALARS
        }
        plain = [{"Name": "name", "Type": _type("String")}]
        for name in _INTROSPECTION:
            self.types[name] = {"Kind": "OBJECT", "Name": name, "BuiltIn": True, "Fields": plain}
        for name in _ENUMERATIONS:
            self.types[name] = {"Kind": "ENUM", "Name": name, "BuiltIn": True, "EnumValues": [{"Name": "X"}]}
        self.directives: dict[str, Node] = {directive["Name"]: directive for directive in _DIRECTIVES}
        self.possible: dict[str, list[str]] = {}
        self.document = document

    def check(self) -> None:
        """Check the whole document.

        Raises:
            SchemaError: something in it is wrong.
        """
        document = self.document
        for definition in document.get("Definitions", ()):
            if definition["Name"] in self.types:
                raise SchemaError(f"Cannot redeclare type {definition['Name']}.")
            self.types[definition["Name"]] = dict(definition)
        for extension in document.get("Extensions", ()):
            self.extend(extension)
        for definition in self.types.values():
            self.implement(definition)
        for directive in document.get("Directives", ()):
            if directive["Name"] in self.directives and directive["Name"] not in _OWN:
                raise SchemaError(f"Cannot redeclare directive {directive['Name']}.")
            self.directives[directive["Name"]] = directive
        schemas = document.get("Schema", [])
        if len(schemas) > 1:
            raise SchemaError("Cannot have multiple schema entry points, consider schema extensions instead.")
        for schema in (*schemas, *document.get("SchemaExtension", ())):
            for root in schema.get("OperationTypes", ()):
                if root["Type"] not in self.types:
                    raise SchemaError(
                        f"Schema root {root['Operation']} refers to a type {root['Type']} "
                        "that does not exist."
                    )
            self.uses(schema, "SCHEMA")
        for name in sorted(self.types):
            self.definition(self.types[name])
        for name in sorted(self.directives):
            directive = self.directives[name]
            _named(name)
            self.arguments(directive, name)

    def extend(self, extension: Node) -> None:
        """Add what an extension says to its type."""
        definition = self.types.setdefault(
            extension["Name"], {"Kind": extension["Kind"], "Name": extension["Name"], "BuiltIn": False}
        )
        if definition["Kind"] != extension["Kind"]:
            raise SchemaError(
                f"Cannot extend type {extension['Name']} because the base type is a {definition['Kind']}, "
                f"not {extension['Kind']}."
            )
        for part in ("Directives", "Interfaces", "Fields", "Types", "EnumValues"):
            if extension.get(part):
                definition[part] = [*definition.get(part, ()), *extension[part]]

    def implement(self, definition: Node) -> None:
        """Note which types may stand for others."""
        kind = definition["Kind"]
        if kind == "UNION":
            self.possible.setdefault(definition["Name"], []).extend(definition.get("Types", ()))
        elif kind in ("INPUT_OBJECT", "OBJECT", "INTERFACE"):
            for interface in definition.get("Interfaces", ()):
                self.possible.setdefault(interface, []).append(definition["Name"])
            if kind != "INTERFACE":
                self.possible.setdefault(definition["Name"], []).append(definition["Name"])

    def definition(self, definition: Node) -> None:
        """Check a type."""
        kind, fields = definition["Kind"], definition.get("Fields", [])
        self.context.spend(2 + len(fields))
        for field in fields:
            self.field(definition, field)
        for member in definition.get("Types", ()):
            if member not in self.types:
                raise SchemaError(f'Undefined type "{member}".')
            if self.types[member]["Kind"] != "OBJECT":
                raise SchemaError(f'{kind} type "{member}" must be OBJECT.')
        for interface in definition.get("Interfaces", ()):
            self.interface(definition, interface)
        if kind in ("OBJECT", "INTERFACE", "INPUT_OBJECT"):
            if not fields:
                what = "input fields" if kind == "INPUT_OBJECT" else "fields"
                raise SchemaError(f"{kind} {definition['Name']}: must define one or more {what}.")
            allowed = _INPUTS if kind == "INPUT_OBJECT" else _OUTPUTS
            for field in fields:
                if self.types[_name_of(field["Type"])]["Kind"] not in allowed:
                    raise SchemaError(f"{kind} {definition['Name']}: field must be one of {sorted(allowed)}.")
        elif kind == "ENUM":
            self.enumeration(definition)
        names = [field["Name"] for field in fields]
        if len(set(names)) < len(names):
            raise SchemaError(f"a field of {definition['Name']} can only be defined once.")
        if not definition.get("BuiltIn"):
            _named(definition["Name"])
        self.uses(definition, kind)

    def field(self, definition: Node, field: Node) -> None:
        """Check a field of a type."""
        _named(field["Name"])
        self.known(field["Type"])
        self.arguments(field, None)
        inputs = definition["Kind"] == "INPUT_OBJECT"
        self.uses(field, "INPUT_FIELD_DEFINITION" if inputs else "FIELD_DEFINITION")

    def enumeration(self, definition: Node) -> None:
        """Check the values of an enumeration."""
        values = definition.get("EnumValues", [])
        if not values:
            raise SchemaError(f"ENUM {definition['Name']}: must define one or more unique enum values.")
        for value in values:
            if value["Name"] in ("true", "false", "null"):
                raise SchemaError(f"ENUM {definition['Name']}: non-enum value {value['Name']}.")
            self.uses(value, "ENUM_VALUE")

    def known(self, of: Node) -> None:
        """Check that a type is defined."""
        if _name_of(of) not in self.types:
            raise SchemaError(f"Undefined type {_name_of(of)}.")

    def arguments(self, owner: Node, directive: str | None) -> None:
        """Check the arguments of a field or directive."""
        for argument in owner.get("Arguments", ()):
            _named(argument["Name"])
            self.known(argument["Type"])
            kind = self.types[_name_of(argument["Type"])]["Kind"]
            if kind not in _INPUTS:
                raise SchemaError(f"{kind} is not a valid input type for {argument['Name']}")
            self.uses(argument, "ARGUMENT_DEFINITION", directive)

    def uses(self, owner: Node, location: str, current: str | None = None) -> None:
        """Check the directives that are put on something."""
        for directive in owner.get("Directives", ()):
            name = directive["Name"]
            _named(name)
            if current is not None and name == current:
                raise SchemaError(f"Directive {name} cannot refer to itself.")
            definition = self.directives.get(name)
            if definition is None:
                raise SchemaError(f"Undefined directive {name}.")
            if location not in definition["Locations"]:
                raise SchemaError(f"Directive {name} is not applicable on {location}.")
            given = {argument["Name"]: argument for argument in directive.get("Arguments", ())}
            known = {argument["Name"]: argument for argument in definition.get("Arguments", ())}
            if given.keys() - known.keys():
                raise SchemaError(f"Undefined argument for directive {name}.")
            for argument in known.values():
                needed = argument["Type"].get("NonNull") and not argument.get("DefaultValue")
                value = given.get(argument["Name"])
                if needed and (value is None or value["Value"]["Kind"] == 6):
                    raise SchemaError(f"Argument {argument['Name']} for directive {name} cannot be null.")

    def interface(self, definition: Node, name: str) -> None:
        """Check that a type implements an interface."""
        interface = self.types.get(name)
        if interface is None:
            raise SchemaError(f'Undefined type "{name}".')
        if interface["Kind"] != "INTERFACE":
            raise SchemaError(f'"{name}" is a non interface type {interface["Kind"]}.')
        own = {field["Name"]: field for field in reversed(definition.get("Fields", []))}
        for needed in interface.get("Fields", ()):
            found = own.get(needed["Name"])
            if found is None:
                raise SchemaError(f"a field called {needed['Name']} is missing.")
            if not self.covariant(needed["Type"], found["Type"]):
                raise SchemaError(f"the field {needed['Name']} has another type.")
            self.same_arguments(needed, found)
        for further in interface.get("Interfaces", ()):
            if further not in definition.get("Interfaces", ()):
                raise SchemaError(f"Type {definition['Name']} must implement {further}.")

    def same_arguments(self, needed: Node, found: Node) -> None:
        """Check that a field takes the arguments of the interface's, and needs no others."""
        own = {argument["Name"]: argument for argument in reversed(found.get("Arguments", []))}
        wanted = {argument["Name"]: argument for argument in needed.get("Arguments", ())}
        for name, argument in wanted.items():
            if name not in own or not _compatible(argument["Type"], own[name]["Type"]):
                raise SchemaError(f"the argument {name} is missing or has another type.")
        for name, argument in own.items():
            needs = argument["Type"].get("NonNull") and not argument.get("DefaultValue")
            if name not in wanted and needs:
                raise SchemaError(f"the additional argument {name} is required.")

    def covariant(self, needed: Node, found: Node) -> bool:
        """Tell whether one type may stand for another."""
        if needed.get("NonNull") and not found.get("NonNull"):
            return False
        name = needed.get("NamedType")
        if name:
            return name == found.get("NamedType") or found.get("NamedType") in self.possible.get(name, ())
        if not needed.get("Elem") or not found.get("Elem"):
            return False
        return self.covariant(needed["Elem"], found["Elem"])


def _name_of(of: Node) -> str:
    while of.get("Elem"):
        of = of["Elem"]
    return of.get("NamedType", "")  # type: ignore[no-any-return]


def _named(name: str) -> None:
    if name.startswith("__") and name not in _INTROSPECTION:
        raise SchemaError(
            f'Name "{name}" must not begin with "__", which is reserved by GraphQL introspection.'
        )


def _compatible(needed: Node, found: Node) -> bool:
    """Tell whether two types are the same, but for the second's being allowed not to be null."""
    if needed.get("NamedType", "") != found.get("NamedType", ""):
        return False
    if needed.get("Elem") and not found.get("Elem"):
        return False
    if needed.get("Elem") and not _compatible(needed["Elem"], found["Elem"]):
        return False
    return not found.get("NonNull") or bool(needed.get("NonNull"))


def check_schema(context: Context, document: Any) -> None:
    """Check a schema's document, parsed or given as an object.

    Raises:
        SchemaError: it isn't a valid schema.
    """
    try:
        _Schema(context, document).check()
    except (AttributeError, KeyError, TypeError) as error:
        raise SchemaError(f"not the tree of a schema: {error}") from None
