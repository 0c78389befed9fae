"""Where results go, and how readers always find a whole set: a local folder or a bucket.

In: the finished files of a run. Out: stable names that all change in one step.
A lock lets one run at a time publish to a place.
"""
