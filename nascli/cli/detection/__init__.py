"""What the commands do for detectors: a file per command."""
