"""How a program of ours reads its arguments and settings, speaks, keeps a deadline, and ends."""
