"""Checks of items before they are recorded: the rules, and the Great Expectations suites that hold to them."""
