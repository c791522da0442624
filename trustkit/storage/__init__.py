"""Where bytes rest: sources of ranges, atomic outputs, publication."""
