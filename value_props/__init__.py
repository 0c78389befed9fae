"""What dbt itself cannot do for this project: check inputs, build then publish, look back."""

__version__ = "0.1.0"
