"""Readers of data files: CSV, folders, NumPy archives and Parquet become items."""
