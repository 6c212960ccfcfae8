"""Holds on requests and their items: putting on, lifting, what they cover, what they stop, and delayed purges."""
