"""WHAT is claimed: statements, envelopes, bundles; pure bytes to values and back."""
