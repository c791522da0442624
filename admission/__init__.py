"""The admission webhook face: review, decide, mutate."""
