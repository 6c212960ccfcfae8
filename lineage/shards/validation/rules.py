"""Validation rules that a caller adds to those of :mod:`~lineage.shards.validation.expectations`, which all must pass.

>>> from lineage.records import plain
>>> plain(Rules(ranges={"image": (0.0, 16.0)}))
{'ranges': {'image': [0.0, 16.0]}, 'values': {}, 'license_required': False, 'more': []}
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lineage.errors import BadInput, fields_of
from lineage.records import Json


@dataclass(frozen=True, slots=True)
class Rules:
    """What a caller expects of a shard beyond the floor.

    ``ranges`` gives a field's least and greatest value (None: no bound), ``values`` the set that a field of one value
    an item is drawn from. ``more`` holds expectations as Great Expectations writes them:
    ``{"type": "expect_column_mean_to_be_between", "kwargs": {"column": "label", "min_value": 0}}``.
    """

    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    values: Mapping[str, tuple[str | int | float | bool, ...]] = field(default_factory=dict)
    license_required: bool = False
    more: tuple[Mapping[str, Json], ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Rules":
        """Return the rules in a JSON file with the names of this class; ``BadInput`` names what does not fit."""
        from pydantic import TypeAdapter, ValidationError  # read on use: most shards bring no file

        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            unknown = sorted(set(given) - set(cls.__slots__)) if isinstance(given, dict) else []
            if unknown:
                raise BadInput(f"{path}: unknown rule '{unknown[0]}'; use {', '.join(cls.__slots__)}")
            return TypeAdapter(cls).validate_python(given)
        except ValidationError as problem:
            raise BadInput(f"{path}: {fields_of(problem)}; see lineage.shards.validation.expectations") from problem
        except (OSError, ValueError, RecursionError) as problem:
            raise BadInput(f"{path}: no rules in JSON could be read ({problem}); check the file") from problem
