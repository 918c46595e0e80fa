"""Quality of answers and captions, by the published rules of their datasets."""
