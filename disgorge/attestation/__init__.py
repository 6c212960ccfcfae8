"""Signed attestations of how components were made: written, kept, and judged."""
