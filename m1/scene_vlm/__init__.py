"""The embedded model: its architecture, training data, training and evaluation."""
