"""A workspace and a folder of user code, for tests of ``method: function`` in processes of their own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disgorge.method import ModelSpec
from disgorge.training.make import Made, make
from disgorge.training.model_file import model_spec
from disgorge.training.runners.declared import method_of_model
from disgorge.training.runners.local import Workers
from lineage.records import plain
from lineage.shards.add import add_shard
from lineage.storage.tensors import load_tensors
from lineage.workspace import Workspace
from tests.toys import component_of, live_shards


@dataclass
class Case:
    """A workspace of three shards, and a folder with a model file's code."""

    workspace: Workspace
    folder: Path

    def spec(self, **keys: Any) -> ModelSpec:
        """The model that a file with these keys describes."""
        given = {"train": "own_code:fit", "predict": "own_code:predict", "layout": "isolated", "classes": [0, 1]}
        file = {"release": "own", "method": "function", "shards": ["a", "b", "c"], **given, **keys}
        return model_spec({name: value for name, value in file.items() if value is not None}, name="own.yaml")

    def write(self, text: str) -> None:
        """Write the code."""
        (self.folder / "own_code.py").write_text(text)

    def make(self, spec: ModelSpec, **how: Any) -> Made:
        """Train in processes of their own, and release."""
        with Workers(self.workspace, count=1, **how) as workers:
            made = make(
                self.workspace, spec, workers,
                method=method_of_model(spec, folder=self.folder), shards=live_shards(self.workspace),
            )  # fmt: skip
        self.workspace.ledger.append("composition", {"composition": plain(made.composition)})
        body = {"name": spec.release, "alias": spec.alias, "composition": made.composition.digest}
        self.workspace.ledger.append("release", body)
        return made

    def trained(self, name: str) -> dict[str, Any]:
        """A component's arrays."""
        return dict(load_tensors(self.workspace.objects.get(component_of(self.workspace, name).digest)))


def case_in(folder: Path) -> Case:
    """Three shards of four rows; every row is a person's."""
    workspace, code = Workspace.init(folder / "workspace"), folder / "code"
    code.mkdir()
    for place, name in enumerate("abc"):
        path = folder / f"{name}.csv"
        rows = "".join(f"{name}-{row},{10 * place + row},{row % 2}\n" for row in range(4))
        path.write_text(f"subject,x,label\n{rows}")
        add_shard(workspace, path, name=name, subject="subject", legal_basis="consent", check=False)
    return Case(workspace, code)
