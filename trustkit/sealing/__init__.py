"""Confidentiality: sealed parts, descriptors, recipients and openers."""
