"""Record runs: the manifest, report and page of each run, and the history of all runs.

In: the facts of a run and its database. Out: manifest.json, report.json, report.html, and a record
in `quality/`. history_tables.py lists the tables that the records are loaded into.
"""
