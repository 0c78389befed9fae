"""The docs site: dbt's pages, the lineage of columns, and the report of the last run.

In: the dbt project and a published database. Out: a folder of pages that work offline.
"""
