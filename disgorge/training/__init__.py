"""Training jobs: a model file becomes recipes, recipes become components, components a release."""
