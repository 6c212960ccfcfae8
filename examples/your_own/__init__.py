"""A model of one's own: a plain scikit-learn script, and the same with this tool."""
