"""Measurements, each in one run, side by side, with recall beside every speed.

`python -m benchmarks` lists them; `python -m benchmarks http` runs one.
"""
