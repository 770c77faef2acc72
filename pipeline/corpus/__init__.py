"""From files to clean documents, split for training and honest testing."""
