"""From files of scans to the samples of a run; knows no network."""
