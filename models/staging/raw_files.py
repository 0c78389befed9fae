def model(dbt, session):
    """List the raw files as they were found, hashed and counted, one row a file."""
    from pathlib import Path

    from value_props.raw_files import as_relation, recall_or_inspect

    inventory = recall_or_inspect(
        Path(dbt.config.meta_get("raw_path")), Path(dbt.config.meta_get("copies_path"))
    )
    return as_relation(inventory, session)
