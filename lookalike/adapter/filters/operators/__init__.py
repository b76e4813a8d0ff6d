"""The operators of a field."""
