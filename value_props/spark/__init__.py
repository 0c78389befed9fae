"""Rows for another engine: the parsed raw files, exported for dbt over Spark.

In: raw files. Out: a store of Parquet files that Spark reads as sources.
"""
