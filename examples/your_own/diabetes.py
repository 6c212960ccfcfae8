"""Foretells how diabetes progresses in a year: gradient-boosted trees, each model in LightGBM's own text format."""

import lightgbm


def train(items, parts, context):
    """Write a model of these patients; one thread and fixed row order, so that training repeats."""
    settings = {"objective": "regression", "num_threads": 1, "deterministic": True, "force_row_wise": True}
    settings |= {"seed": context.seed % 2**31, "verbosity": -1, "num_leaves": 7, "min_data_in_leaf": 10}
    data = lightgbm.Dataset(items.matrix(), items["label"])
    model = lightgbm.train(settings, data, num_boost_round=context.parameters["rounds"])
    model.save_model(context.out / "model.txt")


def predict(parts, items, context):
    """Return the progression that one model foretells."""
    return lightgbm.Booster(model_file=parts / "model.txt").predict(items.matrix())
