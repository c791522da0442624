"""The demo: the whole story on real bytes, told by the programs that everybody uses."""
