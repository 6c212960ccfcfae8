"""Where two stored components begin to differ: the first tensor or file, in order of names, that is not the same.

>>> import tempfile
>>> from lineage.storage.tensors import save_tensors
>>> objects = Objects(Path(tempfile.mkdtemp()))
>>> one, other = (objects.put(save_tensors({"a": [1.0], "b": [x]})) for x in (2.0, 3.0))
>>> first_difference(objects, one, other), first_difference(objects, one, one)
("tensor 'b'", '')
"""

from pathlib import Path

from lineage.errors import LineageError
from lineage.storage.components import tree_of
from lineage.storage.objects import PIECE, Objects
from lineage.storage.tensors import Place, places_of


def first_difference(objects: Objects, one: str, other: str) -> str:
    """Return which tensor, or file of a folder, differs first; "" for equal ones, and where one cannot be read."""
    try:
        here, there = tree_of(objects, one), tree_of(objects, other)
        if here is None and there is None:
            return _first_tensor(objects.path(one), objects.path(other))
        if here is None or there is None:
            return "all of it: one is tensors and one is a folder"
    except (LineageError, OSError):
        return ""
    paths = sorted({file.path for file in {*here} ^ {*there}})
    return f"file {paths[0]!r}" if paths else ""


def _first_tensor(one: Path, other: Path) -> str:
    here, there = ({place.name: place for place in places_of(path)[0]} for path in (one, other))
    for name in sorted({*here, *there}):
        if name not in here or name not in there:
            return f"tensor {name!r}, which one of them lacks"
        if here[name][:3] != there[name][:3]:
            return f"tensor {name!r}, in shape or type"
        if not _same_bytes(one, here[name], other, there[name]):
            return f"tensor {name!r}"
    return ""


def _same_bytes(one: Path, here: Place, other: Path, there: Place) -> bool:
    """Whether two tensors of one type and shape have the same bytes, compared piece by piece."""
    left = here.stop - here.start
    with one.open("rb") as first, other.open("rb") as second:
        first.seek(here.start)
        second.seek(there.start)
        while left > 0:
            size = min(PIECE, left)
            if first.read(size) != second.read(size):
                return False
            left -= size
    return True
