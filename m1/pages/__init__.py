"""What pages for a browser are made with."""
