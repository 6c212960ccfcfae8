"""Cases that a policy pack must decide as written: read from YAML and run."""
