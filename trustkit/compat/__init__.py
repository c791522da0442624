"""Interfaces of other tools, kept by our means; each a package of its own, under the other's name."""
