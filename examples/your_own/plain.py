"""Finds malignant tumors: a scaler and a logistic regression."""

import sys
from pathlib import Path

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def fit(table):
    """Return the numbers of the scaler and of the regression."""
    x, y = table.drop(columns=["finding", "key", "subject"]).to_numpy(), table["finding"] == "malignant"
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(C=1.0, max_iter=1000).fit(scaler.transform(x), y)
    learned = {"classes": model.classes_, "coef": model.coef_, "intercept": model.intercept_}
    return learned | {"mean": scaler.mean_, "scale": scaler.scale_}


def predict(parts, table):
    """Return the probabilities of a benign and of a malignant tumor."""
    x = table.drop(columns=["finding", "key", "subject"]).to_numpy()
    model = LogisticRegression()
    model.classes_, model.coef_, model.intercept_ = parts["classes"], parts["coef"], parts["intercept"]
    return model.predict_proba((x - parts["mean"]) / parts["scale"])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    clinics = pd.concat(pd.read_csv(folder / f"{name}.csv") for name in ("north", "east", "south", "west"))
    held_out = pd.read_csv(folder / "held-out.csv")
    answers = predict(fit(clinics), held_out)
    print("accuracy", ((answers[:, 1] > 0.5) == (held_out["finding"] == "malignant")).mean())
