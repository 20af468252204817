"""The nightly run as an Airflow DAG: a job submitted to a Ray cluster that is always there, one night at a time.

Airflow's Variables `llmner_ray_address` (``http://HEAD:8265``) and `llmner_command` name the cluster and the command;
the connection's token is that of the cluster, in ``RAY_AUTH_TOKEN`` of the worker's environment.
"""

from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

COMMAND = "llmner nightly --config /etc/llmner/job.yaml s3://literature/pubmed/updates/"

with DAG(
    dag_id="llmner_nightly",
    schedule="15 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
    tags=["llmner"],
) as dag:
    BashOperator(
        task_id="extract",
        bash_command=f"ray job submit --address '{{{{ var.value.llmner_ray_address }}}}' -- {COMMAND}",
        env={"RAY_AUTH_MODE": "token"},
        append_env=True,
        execution_timeout=timedelta(hours=20),
    )
