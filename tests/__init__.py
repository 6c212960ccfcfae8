"""Tests mirror the packages; the laws of removal hold for every registered method."""
