"""Publish runs atomically to a local folder or a bucket, keep old runs, and roll back.

In: the finished files of a run. Out: stable names that all switch to the new run at once.
folder_lock.py and bucket_lock.py keep out a second run; out_path.py is the layout and retention.
"""
