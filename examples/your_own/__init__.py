"""Models of one's own: a plain scikit-learn script and the same with this tool, and four with other frameworks."""
