"""The Python around the dbt project: ingest raw files, run dbt, judge, publish, record, notify.

The rooms, from top to bottom; a room imports only from the rooms below it:

    cli        options, printed text, exit codes
    docs       the docs site
    spark      export of parsed rows for dbt over Spark
    run        the story of a run: request, dbt, gate, and what a failed run leaves
    notify     alerts and their texts (alerts.py), metrics, OpenLineage
    record     history, manifest, report and page of runs
    publish    out paths and buckets: release, rollback, locks (folder_lock.py, bucket_lock.py)
    ingest     raw files to parsed rows; its row rules are in ingest/sql/rules.sql
    sample     made-up raw files

All rooms use errors, files, logs, parameters, resources and database. Defaults of parameters are in
dbt_project.yml, and the columns of the mart in models/marts/.
"""

__version__ = "0.2.0"
