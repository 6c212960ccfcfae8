"""Examination of a release before it is adopted: retrained parts compared, probes run, utility measured."""
