"""Releases: training and releasing a model, where it is served, and taking it out of service for a hold."""
