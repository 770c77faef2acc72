"""What predicts the next token."""
