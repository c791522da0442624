"""WHETHER we believe it: policies, authorities and the only makers of proofs."""
