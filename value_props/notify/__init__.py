"""Notify receivers of an ended run: chat, mail, webhooks, Prometheus and OpenLineage.

In: the report of a run. Out: requests to the receivers that the environment names.
A receiver that fails does not change the result of the run.
"""
