"""What a token is."""
