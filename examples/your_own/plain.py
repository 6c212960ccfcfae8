"""Finds malignant tumors: a scaler and a logistic regression."""

import sys
from pathlib import Path

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def features(table):
    """Return the thirty measures of each tumor."""
    return table.drop(columns=["finding", "key", "subject"]).to_numpy()


def fit_scaler(table):
    """Return the mean and the scale of each measure."""
    scaler = StandardScaler().fit(features(table))
    return {"mean": scaler.mean_, "scale": scaler.scale_}


def scaled(table, learned):
    """Return the measures on the scale that was learned."""
    return (features(table) - learned["scaler"]["mean"]) / learned["scaler"]["scale"]


def fit(table, learned):
    """Return the numbers of the regression."""
    y = table["finding"] == "malignant"
    model = LogisticRegression(C=1.0, max_iter=1000).fit(scaled(table, learned), y)
    return {"classes": model.classes_, "coef": model.coef_, "intercept": model.intercept_}


def predict(learned, table):
    """Return the probabilities of a benign and of a malignant tumor."""
    model, head = LogisticRegression(), learned["head"]
    model.classes_, model.coef_, model.intercept_ = head["classes"], head["coef"], head["intercept"]
    return model.predict_proba(scaled(table, learned))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    clinics = pd.concat(pd.read_csv(folder / f"{name}.csv") for name in ("north", "east", "south", "west"))
    held_out = pd.read_csv(folder / "held-out.csv")
    learned = {"scaler": fit_scaler(clinics)}
    learned["head"] = fit(clinics, learned)
    answers = predict(learned, held_out)
    print("accuracy", ((answers[:, 1] > 0.5) == (held_out["finding"] == "malignant")).mean())
