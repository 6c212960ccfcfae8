"""Findings of an audit as values and in the forms of CI systems, and the workspace as the audit sees it.

The audit itself, one file per group of rules: :mod:`disgorge.audit.rules`.
"""
