"""The yardstick: what `pose2mesh evaluate` measures, one subject per file."""
