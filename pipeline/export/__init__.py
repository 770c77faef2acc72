"""The SavedModel: text in, words out, with the tokenizer inside."""
