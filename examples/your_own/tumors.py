"""Finds malignant tumors: a scaler and a logistic regression."""

from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def fit(items, parts, context):
    """Return the numbers of the scaler and of the regression."""
    x, y = items.matrix(), items["label"]
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(C=1.0, max_iter=1000).fit(scaler.transform(x), y)
    learned = {"classes": model.classes_, "coef": model.coef_, "intercept": model.intercept_}
    return learned | {"mean": scaler.mean_, "scale": scaler.scale_}


def predict(parts, items, context):
    """Return the probabilities of a benign and of a malignant tumor."""
    x = items.matrix()
    model = LogisticRegression()
    model.classes_, model.coef_, model.intercept_ = parts["classes"], parts["coef"], parts["intercept"]
    return model.predict_proba((x - parts["mean"]) / parts["scale"])
