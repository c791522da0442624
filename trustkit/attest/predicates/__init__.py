"""Predicates: one file each, JSON value to typed value and back."""
