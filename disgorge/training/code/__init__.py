"""The code that a job runs: installed distributions by the digest of their RECORD, local code as a tree by digest."""
