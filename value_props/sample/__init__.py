"""Sample data: raw files in the shape of the public case.

In: a scale and a seed. Out: prints, taps and pays, and a note that says they are made up.
"""
