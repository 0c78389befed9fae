"""What is known of runs: the history of all, and of each its manifest, report and page.

In: facts of a run and the database that it filled. Out: files under `quality/` and beside the
results; the tables of the schema `quality` that tell of earlier runs.
"""
