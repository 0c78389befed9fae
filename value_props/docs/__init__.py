"""The docs site: dbt's page, the column lineage, and the report of the published run.

In: the dbt project and a published database. Out: a folder of pages that work offline.
"""
