"""Processes that tests start, kill and look after."""
