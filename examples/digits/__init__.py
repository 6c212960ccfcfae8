"""The main job on scikit-learn's 1,797 handwritten digits: a public core, eight contributors, a held-out set."""
