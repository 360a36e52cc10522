"""Which scans a run sees, and in which order."""
