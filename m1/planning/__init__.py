"""Check the parameters with data and model before anything runs."""
