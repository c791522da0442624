"""The range server face: ciphertext only, no keys."""
