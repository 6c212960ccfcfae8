"""What commands print: tables, JSON, progress, and errors in one line."""
