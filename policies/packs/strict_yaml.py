r"""Strict reader of the YAML that rules and cases are written in.

- only ``true`` and ``false`` are booleans, as in YAML 1.2: ``on``, ``off``, ``yes`` and ``no`` stay words;
- a key written twice is an error, not a silent overwrite: in a rule the lost half could be a legal hold;
- half a character (``"\ud800"``), which no UTF-8 can hold, is no text;
- aliases are refused, so a small file cannot expand into a huge one;
- nothing but plain values is built (``yaml.SafeLoader``).

libyaml splits the text where it is there, ten times as fast as Python.
"""

from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.composer import Composer

from lineage.records import is_unicode
from policies.errors import PolicyError

MAX_BYTES = 1_000_000
"""A rule file larger than this was not written by a person."""
_BOOL = "tag:yaml.org,2002:bool"
_Fastest = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class _Loader(Composer, _Fastest):  # type: ignore[misc,valid-type]
    """Refuses duplicate keys and aliases, which Python's composer sees, with the booleans of YAML 1.2."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL or first in "tTfF"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, stream: str):
        _Fastest.__init__(self, stream)
        Composer.__init__(self)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed, write the value out", mark)
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode) and not is_unicode(node.value):
            problem = "text with half a character, which nothing can record; write it out"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                problem = f"a key must be a word, not {key!r}; quote it"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if key in seen:
                problem = f"the key {key!r} is written twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        constructed: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return constructed


def read_yaml(path: Path, error: type[PolicyError]) -> Any:
    """Return what the file says; ``error``, naming the file and the line, when it cannot be read."""
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror or problem}; check the path") from None
    if len(raw) > MAX_BYTES:
        raise error(f"{path}: {len(raw)} bytes are too many (at most {MAX_BYTES}); split the file")
    try:
        return yaml.load(raw.decode("utf-8"), Loader=_Loader)
    except UnicodeDecodeError as problem:
        raise error(f"{path}: not UTF-8 text (byte {problem.start}); save it as UTF-8") from None
    except yaml.YAMLError as problem:
        raise error(f"{path}: {_one_line(problem)}") from None
    except (RecursionError, ValueError, OverflowError) as problem:
        raise error(f"{path}: not usable YAML: {type(problem).__name__}: {problem}") from None


def _one_line(problem: yaml.YAMLError) -> str:
    if isinstance(problem, yaml.MarkedYAMLError) and problem.problem_mark is not None:
        mark = problem.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem.problem or problem.context}"
    return " ".join(str(problem).split())
