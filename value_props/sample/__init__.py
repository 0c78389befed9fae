"""Make up sample data: raw files with the structure of the public case.

In: a scale and a seed. Out: prints, taps and pays, and a note that marks them as made up.
"""
