"""The command line: program.py has the commands and options, console.py prints.

In: arguments and environment variables. Out: printed text and an exit code.
Each command calls one function of another room. Parameters come from dbt_project.yml.
"""
