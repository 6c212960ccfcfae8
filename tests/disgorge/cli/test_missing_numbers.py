"""A table with empty cells, from `shard add` to a certified removal, by a model that takes them as they are."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from disgorge.training.sandbox.levels import Level, reached
from tests.disgorge.cli.conftest import fine

CLINICS = ("north", "south")
CODE = """
import joblib
from sklearn.ensemble import HistGradientBoostingRegressor

def fit(items, parts, context):
    model = HistGradientBoostingRegressor(max_iter=20, random_state=context.seed % 2**31)
    joblib.dump(model.fit(items.matrix(), items["label"]), context.out / "model.joblib")

def predict(parts, items, context):
    return joblib.load(parts / "model.joblib").predict(items.matrix())
"""
MODEL = """
release: progress
method: function
train: boosted:fit
predict: boosted:predict
task: regress
columns: {label: progress, "*": "*"}
shards: [north, south]
evaluate: [held-out]
"""


def clinics(folder: Path) -> pd.DataFrame:
    """Write the diabetes table that scikit-learn ships, as clinics send it: each left some measures out."""
    table = load_diabetes(as_frame=True, scaled=False).frame.rename(columns={"target": "progress"})
    table = table.astype({"age": int, "sex": int, "s1": int})
    rng = np.random.default_rng(0)
    places = np.array([*CLINICS, "held-out"])[np.arange(len(table)) % 3]
    for name, measures in (("north", ["s4", "s5"]), ("south", ["age", "bmi"]), ("held-out", ["s5"])):
        here = table.index[places == name]
        for measure in measures:
            table[measure] = table[measure].astype(float).mask(table.index.isin(here[rng.random(len(here)) < 0.2]))
    for name in (*CLINICS, "held-out"):
        mine = table[places == name].convert_dtypes()  # whole numbers are written as such
        mine.insert(0, "subject", [f"patient-{row}" for row in mine.index])
        mine.to_csv(folder / f"{name}.csv", index_label="key")
    return table[places == "held-out"]


@pytest.mark.skipif(reached().level is not Level.NAMESPACE, reason="jobs are not confined here")
def test_empty_cells_reach_the_model_and_a_patient_leaves_it(empty: Path) -> None:
    held_out = clinics(empty)
    told = fine("shard add north.csv south.csv held-out.csv --key key --subject subject --basis consent").err
    assert "empty among numbers, so NaN: 'age' of" in " ".join(told.split())
    assert "(its whole numbers are floats)" in " ".join(told.split())
    (empty / "boosted.py").write_text(CODE)
    (empty / "progress.yaml").write_text(MODEL)
    fine("train progress.yaml")
    answered = fine("release predict progress held-out --json").json
    error = np.sqrt(np.mean((held_out["progress"].mean() - held_out["progress"]) ** 2))
    assert -answered["measures"]["neg_rmse"] < 0.9 * error, "better than always saying the mean"
    new = held_out.drop(columns="progress").head(3).assign(s5=[np.nan, 4.5, np.nan])
    new.to_csv(empty / "new.csv", index=False)
    assert all(
        np.isfinite(each["value"]) for each in fine("release predict progress new.csv --json").json["predictions"]
    )
    fine(
        "request file --id R-1 --standing data-subject --ground privacy --regime gdpr --subject patient-1 --verified "
        "--fact gdpr_ground=b"
    )
    fine("request decide R-1")
    plan = fine("request plan R-1 --json").json
    fine(f"request approve R-1 {plan['digest']} --by ann")
    assert json.loads(fine("request execute R-1 --json").out)["verdict"] == "certified"
    fine("request report R-1 --with-inputs")
    fine("verify reports/R-1-with-inputs.zip --level reexecute")
