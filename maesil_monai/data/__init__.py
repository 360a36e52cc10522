"""Reading CT scans: files, admission, sources, and the list of scans of a run."""
