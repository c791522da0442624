"""WHAT is protected: references, the tree walk, the hashing engine and the manifest."""
