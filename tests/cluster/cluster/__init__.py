"""A cluster of the real processes on one machine, and what is done to it."""
