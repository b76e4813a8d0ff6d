"""The operators of a field: one module for each family, one entry in `table` for each operator.

A family holds the three parts of its operators together: how the operand is read, which values it
matches, how the engine is asked. A new operator is one module here, one entry in `table` and one
row in `docs/compatibility.md`. Families know `reading` and `lookups`, never the parser.
"""
