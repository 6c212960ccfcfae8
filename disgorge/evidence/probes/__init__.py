"""One file per audit of a release, registered under the entry-point group `disgorge.probes`."""
