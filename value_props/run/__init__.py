"""A run, top to bottom: what the user asks, dbt, the gate, and what is published or told.

In: a Request. Out: published files, or what a failed run leaves, and an exit code.
build.py tells the story; backfill.py and forget.py are builds with other questions.
"""
