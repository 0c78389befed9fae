"""Run the pipeline: build.py is the story of a run, from the request to its publication.

In: a Request. Out: published files, or an error with an exit code and the files of the failed run.
gate.py decides whether a run may be published; failed_run.py keeps what a failed run leaves behind.
"""
