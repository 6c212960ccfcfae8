"""Finds malignant tumors: a scaler and a logistic regression."""

from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def features(table):
    """Return the thirty measures of each tumor."""
    return table.matrix()


def fit_scaler(table, learned, context):
    """Return the mean and the scale of each measure."""
    scaler = StandardScaler().fit(features(table))
    return {"mean": scaler.mean_, "scale": scaler.scale_}


def scaled(table, learned):
    """Return the measures on the scale that was learned."""
    return (features(table) - learned["scaler"]["mean"]) / learned["scaler"]["scale"]


def fit(table, learned, context):
    """Return the numbers of the regression."""
    y = table["label"]
    model = LogisticRegression(C=1.0, max_iter=1000).fit(scaled(table, learned), y)
    return {"classes": model.classes_, "coef": model.coef_, "intercept": model.intercept_}


def predict(learned, table, context):
    """Return the probabilities of a benign and of a malignant tumor."""
    model, head = LogisticRegression(), learned["head"]
    model.classes_, model.coef_, model.intercept_ = head["classes"], head["coef"], head["intercept"]
    return model.predict_proba(scaled(table, learned))
