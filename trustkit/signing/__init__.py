"""WHO claims: signers and their keys."""
