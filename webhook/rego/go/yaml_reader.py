"""YAML as OPA's library reads it (``sigs.k8s.io/yaml``): events, nodes, values of Go."""

from __future__ import annotations

from typing import Any, Final

import yaml

from webhook.rego.context import BuiltinError, Context, Halt, check_items
from webhook.rego.go.base64_reader import base64_bytes
from webhook.rego.go.yaml_json import as_json, go_syntax
from webhook.rego.go.yaml_scalars import resolve
from webhook.rego.raw_text import decoded, printable

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG: Final = "tag:yaml.org,2002:"
_FEW: Final = 400_000  # nodes up to which nearly all may come from aliases
_MANY: Final = 4_000_000  # nodes from which on few may
MAX_DEPTH: Final = 400


class _Node:
    """A node of a document; an alias has the node that its anchor names as the only child."""

    __slots__ = ("children", "implicit", "kind", "tag", "value")

    def __init__(self, kind: str, value: str = "", tag: str = "", *, implicit: bool = False) -> None:
        self.kind = kind
        self.value = value
        self.tag = tag
        self.implicit = implicit
        self.children: list[_Node] = []


def read_yaml(context: Context, text: str) -> Any:
    """Return the value of the first document of a YAML text, as its JSON would be.

    Raises:
        BuiltinError: it is no YAML, or has no JSON.
        Halt: it is nested too deeply.
    """
    if printable(text) != text:
        raise BuiltinError("yaml: invalid leading UTF-8 octet")
    loader = _LOADER(text)
    try:
        loader.get_event()  # the stream's start
        if isinstance(loader.get_event(), yaml.StreamEndEvent):
            return None
        node = _Parser(loader, text).node(0)
        loader.get_event()  # the document's end
        return as_json(_Decoder(context).value(node, 0))
    except yaml.YAMLError as error:
        raise BuiltinError(f"yaml: {_problem(error)}") from None
    except RecursionError:
        raise Halt("YAML is nested too deeply") from None
    finally:
        loader.dispose()


def _problem(error: yaml.YAMLError) -> str:
    """Return what is wrong with a text, the line as Go counts it: from 0, but where the scanner stopped."""
    if isinstance(error, yaml.reader.ReaderError):
        return str(error.reason)
    problem = getattr(error, "problem", None) or str(error)
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    if mark is not None and mark.line:
        return f"line {mark.line + isinstance(error, yaml.scanner.ScannerError)}: {problem}"
    return f"line {context.line}: {problem}" if context is not None and context.line else problem


class _Parser:
    """Makes nodes of the events of a document."""

    def __init__(self, loader: Any, text: str) -> None:
        self.loader = loader
        self.text = text
        self.flows: list[Any] = []
        self.anchors: dict[str, _Node] = {}

    def node(self, depth: int) -> _Node:
        """Return the next node."""
        return self.of(self.loader.get_event(), depth)

    def of(self, event: Any, depth: int) -> _Node:
        """Return the node that begins with an event."""
        if depth > MAX_DEPTH:
            raise Halt("YAML is nested too deeply")
        if isinstance(event, yaml.AliasEvent):
            node = _Node("alias", str(event.anchor))
            if node.value not in self.anchors:
                raise BuiltinError(f"yaml: unknown anchor '{node.value}' referenced")
            node.children.append(self.anchors[node.value])
            return node
        tag = event.tag or ""
        tag = f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag
        if isinstance(event, yaml.ScalarEvent):
            self.check(event)
            node = _Node("scalar", event.value, tag, implicit=event.implicit[0])
            self.anchor(event, node)
            return node
        node = _Node("sequence" if isinstance(event, yaml.SequenceStartEvent) else "mapping", "", tag)
        self.anchor(event, node)
        if event.flow_style:
            self.flows.append(event)
        while not isinstance(inner := self.loader.get_event(), yaml.CollectionEndEvent):
            node.children.append(self.of(inner, depth + 1))
        if event.flow_style:
            self.flows.pop()
        check_items(len(node.children))
        return node

    def check(self, event: Any) -> None:
        """Refuse what the library that reads here takes for a scalar and Go's doesn't."""
        start = event.start_mark
        if event.style == '"':
            written = self.text[start.index : event.end_mark.index].replace("\\\\", "  ")
            if "\\/" in written:
                line = start.line + written[: written.index("\\/")].count("\n")
                raise BuiltinError(
                    f"yaml: {f'line {line + 1}: ' if line else ''}found unknown escape character"
                )
        elif not event.style and self.flows and "?" in event.value:
            written = self.text[start.index : event.end_mark.index]
            line = start.line + written[: written.index("?")].count("\n") or self.flows[-1].start_mark.line
            end = "]" if isinstance(self.flows[-1], yaml.SequenceStartEvent) else "}"
            raise BuiltinError(
                f"yaml: {f'line {line}: ' if line else ''}did not find expected ',' or '{end}'"
            )

    def anchor(self, event: Any, node: _Node) -> None:
        """Remember a node that an anchor names."""
        if event.anchor is not None:
            self.anchors[event.anchor] = node


class _Decoder:
    """Makes the values of Go of nodes, as Go's decoder does: what an alias names anew each time.

    A map's keys may be anything but maps and slices, so they stand in a pair behind their class: 1 and true
    are not the same.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.count = self.from_aliases = self.inside = 0
        self.following: set[_Node] = set()

    def value(self, node: _Node, depth: int) -> Any:
        """Return a node's value."""
        self.enter(depth)
        if node.kind == "alias":
            found = self.value(self.follow(node), depth + 1)
            self.leave(node)
            return found
        if node.kind == "scalar":
            return _scalar(node)
        if node.kind == "sequence":
            return [self.value(item, depth + 1) for item in node.children]
        result: dict[Any, Any] = {}
        self.fill(node, result, depth)
        return result

    def enter(self, depth: int) -> None:
        """Count a node, and refuse a document most of which comes from aliases."""
        self.context.spend(1)
        if depth > MAX_DEPTH:
            raise Halt("YAML is nested too deeply")
        self.count += 1
        self.from_aliases += self.inside > 0
        if self.from_aliases > 100 and self.count > 1000:
            share = min(max(self.count - _FEW, 0) / (_MANY - _FEW), 1)
            if self.from_aliases / self.count > 0.99 - 0.89 * share:
                raise BuiltinError("yaml: document contains excessive aliasing")

    def follow(self, alias: _Node) -> _Node:
        """Go to the node that an alias names."""
        if alias in self.following:
            raise BuiltinError(f"yaml: anchor '{alias.value}' value contains itself")
        self.following.add(alias)
        self.inside += 1
        return alias.children[0]

    def leave(self, alias: _Node) -> None:
        """Come back from the node that an alias names."""
        self.inside -= 1
        self.following.discard(alias)

    def fill(self, node: _Node, result: dict[Any, Any], depth: int) -> None:
        """Put the entries of a mapping into a map; later ones replace those before, merged ones too."""
        for key_node, value_node in zip(node.children[::2], node.children[1::2], strict=True):
            is_plain = key_node.implicit or key_node.tag == "!!merge"
            if key_node.kind == "scalar" and key_node.value == "<<" and is_plain:
                self.merge(value_node, result, depth)
                continue
            key = self.value(key_node, depth + 1)
            if key.__class__ in (list, dict):
                raise BuiltinError(f"yaml: invalid map key: {go_syntax(key)}")
            result[key.__class__, key] = self.value(value_node, depth + 1)
            check_items(len(result))

    def merge(self, node: _Node, result: dict[Any, Any], depth: int) -> None:
        """Put the entries of what a merge key names into a map, the first mapping last."""
        for each in reversed(node.children) if node.kind == "sequence" else [node]:
            target = each.children[0] if each.kind == "alias" else each
            if target.kind != "mapping":
                raise BuiltinError("yaml: map merge requires map or sequence of maps as the value")
            self.enter(depth + 1)
            if each is target:
                self.fill(each, result, depth + 1)
                continue
            self.follow(each)
            self.enter(depth + 1)
            self.fill(target, result, depth + 1)
            self.leave(each)


def _scalar(node: _Node) -> Any:
    if not node.tag and not node.implicit:
        return node.value
    if node.tag == "!!binary":
        try:
            return decoded(base64_bytes(node.value))
        except BuiltinError:
            raise BuiltinError("yaml: !!binary value contains invalid base64 data") from None
    return resolve(node.value, node.tag)[1]
