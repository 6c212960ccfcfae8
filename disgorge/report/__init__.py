"""The report: the bundle that is handed out, its pages, pictures and PDF."""
