"""Who carries out training jobs: this process, or worker processes."""
