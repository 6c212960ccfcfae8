"""docs/python.md holds: its code takes a request all the way, from data to a report that verifies."""

import re
from pathlib import Path

import pytest

from tests.toys import toy_of, write_rows

TEXT = (Path(__file__).parent.parent / "docs" / "python.md").read_text()
MODEL = """
release: toy
method: averages
core: [core]
shards: [contributor-1, contributor-2, contributor-3]
evaluate: [contributor-4]
"""


def test_the_pass_in_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, items in toy_of("averages", 3).items.items():
        write_rows(Path(name.replace("shard", "contributor")).with_suffix(".npz"), name, items, range(len(items)))
    Path("model.yaml").write_text(MODEL)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    assert len(code.splitlines()) < 30
    names: dict[str, object] = {}
    exec(code, names)
    assert names["removed"].verdict == "certified"  # type: ignore[attr-defined]
