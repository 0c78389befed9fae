"""Publish runs atomically to a local folder or a bucket, keep old runs, and roll back.

In: the finished files of a run. Out: stable names that all switch to the new run at once.
lock.py locks a folder, `Lock` in bucket.py locks a bucket; out_path.py is the layout and retention.
"""
