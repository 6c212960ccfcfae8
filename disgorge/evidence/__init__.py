"""Evidence as values: probes, the checks they lead to, and how each could have failed. Pure."""
