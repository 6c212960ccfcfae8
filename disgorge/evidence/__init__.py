"""Evidence as values: probes, utility, the checks they lead to, and how each could have failed. Pure."""
