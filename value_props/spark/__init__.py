"""Export the parsed raw files for dbt on Spark.

In: raw files. Out: a store of Parquet files that Spark reads as sources.
"""
