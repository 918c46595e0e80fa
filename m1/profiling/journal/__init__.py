"""What a run has done so far, on the disk: entries, the journal, and the folder of journals."""
