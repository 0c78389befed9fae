"""Who is told of an ended run: chat, mail and webhooks, Prometheus, OpenLineage.

In: the report of a run. Out: requests to what the environment names.
Whatever a receiver does, the result of the run stands.
"""
