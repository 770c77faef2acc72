"""What a trained network remembers, made visible."""
