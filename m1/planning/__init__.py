"""What parameters ask for, held against data and model before anything runs."""
