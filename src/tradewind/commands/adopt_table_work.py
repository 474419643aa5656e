"""What differs from the official operators that run work; see `tradewind.commands.adopt_table`."""

from __future__ import annotations

__all__ = ["WORK"]

WORK: dict[str, tuple[tuple[str, str, str], ...]] = {
    "DockerOperator": (
        (
            "`auto_remove`",
            "the container stays by default",
            "no effect: always removed, once its end is known to the task",
        ),
        (
            "`container_name`",
            "the container's name",
            "a label, and its name on a network of your own",
        ),
        ("`mount_tmp_dir`, `tmp_dir`", "a folder of the worker", "a volume of the container's own"),
        ("`host_tmp_dir`", "where that folder is made", "refused"),
        ("`retrieve_output`", "unpickles a file of the container", "refused"),
        ("`cpus`", "a weight", "a weight; `cpu_limit` limits"),
        ("`tls_ssl_version`", "for old clients", "no effect"),
        ("`xcom_all`", "list of all lines", "the same, at most `result_limit` bytes"),
        ("`mounts`, `ulimits`, `device_requests`", "types of `docker.types`", "these, or dicts"),
        (
            "`log_opts_max_size`, `log_opts_max_file`",
            "JSON files that are rotated; lines go with the oldest",
            "the same when given; when not, the engine keeps the log whole, by its driver "
            "`local`, where it is set up to keep JSON files: it reads that faster (not with "
            "`tty`). `local_log=False` leaves it to the engine, for collectors that read the "
            "files",
        ),
        ("pull errors", "ignored", "fail at once"),
        ("out of memory", "exit code 137", "told in words"),
    ),
    "SSHOperator": (
        (
            "XCom",
            "all of stdout, in base64",
            "the result, or else the last line; `xcom_all=True` for all output (stdout and "
            "stderr) in base64",
        ),
        (
            "`cmd_timeout`",
            "the longest silence, 10 s by default; the command goes on",
            "the longest run, none by default; the command is stopped with all it has started",
        ),
        ("`environment`", "dropped by an sshd without `AcceptEnv`", "always arrives"),
        ("`get_pty`", "ends the command with the connection", "no effect, no terminal"),
        ("`banner_timeout`", "of the banner", "no effect"),
        ("`ssh_hook`", "any hook", "one with an `ssh_conn_id`"),
        (
            "`command`",
            "runs while the connection lasts",
            "runs detached, in a folder of `job_folder` that is removed at the end",
        ),
        ("`ssh_exit`", "the exit code's XCom", "the same"),
    ),
    "LivyOperator": (
        (
            "a worker dies",
            "resumes synchronous work where Airflow 3.3 keeps state; deferred work that is "
            "started again runs twice",
            "the batch's name, unique on its Livy (0.6 or newer), is the claim: a retry "
            "reattaches to it, waiting or deferred",
        ),
        (
            "deferred",
            "drops `livy_endpoint_prefix` and `livy_conn_auth_type`",
            "keeps both; one listing call an interval for all batches of a Livy",
        ),
        (
            "log",
            "after the end, 100 lines of it when deferred",
            "as it runs. Livy keeps its last 200 lines of each stream (`livy.cache-log.size`): "
            "what overlaps with the lines before is found, nothing is repeated, and a line "
            "says where a flood was faster",
        ),
        (
            "a refused batch (no file, path not allowed)",
            "stays in Livy as `starting` for ever",
            "is deleted, and the task fails at once",
        ),
        ("timeout, killed task", "not cancelled when deferred", "`DELETE`, whoever ends it"),
        (
            "after the end",
            "the batch stays until Livy forgets it",
            "is deleted. Livy itself forgets an ended batch after 10 minutes "
            "(`livy.server.session.state-retain.sec`): a retry that comes later runs it again",
        ),
        (
            "`polling_interval=0`",
            "starts and does not wait; deferred: succeeds at once",
            "starts and does not wait, and leaves the batch; deferred: looks every 5 seconds",
        ),
        ("`name`", "the batch's name", "no effect: the name says whose batch it is"),
        ("`retry_args`, `durable`", "", "no effect: both are always so"),
        ("body with arguments and configuration", "logged", "not logged"),
    ),
    "SparkSubmitOperator": (
        (
            "a worker dies in client mode",
            "the driver's fate is open, and the retry submits again",
            "the driver is detached; a retry on the same machine reattaches to it",
        ),
        (
            "a worker dies before the id of a driver or application is stored",
            "the retry submits again",
            "the retry finds it",
        ),
        (
            "`durable`, `reconnect_on_retry`",
            "whether a retry reattaches",
            "no effect: it always does",
        ),
        (
            "`yarn_track_via_rm_api`",
            "asks the ResourceManager, or not",
            "it is always asked; true insists on YARN in cluster mode",
        ),
        (
            "`yarn_resourcemanager_webapp_address`",
            "needed by `yarn_track_via_rm_api`",
            "needed in cluster mode",
        ),
        ("logs in cluster mode", "not shown", "shown"),
        ("`env_vars` on a standalone cluster in cluster mode", "refused", "the driver finds them"),
        ("`track_driver_via_k8s_api`", "cluster mode on Kubernetes", "refused, as that is"),
        (
            "`post_submit_commands`",
            "run when the application has ended or the task is killed",
            "the same; not when a deferred task is ended by a person, which the triggerer does",
        ),
        ("`yarn_rm_auth` of `requests_kerberos`", "answers a challenge", "its token is sent ahead"),
        (
            "`${NAME}` in `application`",
            "as it is",
            "filled in from the worker's environment, where the file is the worker's",
        ),
        ("a connection that is missing", "falls back to YARN", "fails, and names the connection"),
        (
            "`keytab` in the connection, in base64",
            "written to the temporary folder, and left there",
            "refused; name a file",
        ),
        ("the command line", "logged, with some secrets masked", "not logged"),
    ),
    "jobs of BigQuery": (
        (
            "a worker dies",
            "the job goes on; the retry runs another one beside it, or fails as the id is taken",
            "the retry reattaches to it, whatever its state",
        ),
        (
            "`job_id`",
            "what the id begins with; a hash follows",
            "the same; what makes it the task run's own follows",
        ),
        (
            "`force_rerun`, `reattach_states`",
            "whether a retry may reattach",
            "no effect: a retry reattaches, a cleared task runs another job",
        ),
        (
            "`result_retry`, `result_timeout`",
            "of the call that waits",
            "no effect: requests are repeated with backoff, `execution_timeout` ends the task "
            "with its job",
        ),
        ("`cancel_on_kill=False`", "leaves the job behind", "refused"),
        (
            "XComs",
            "`job_id_path` or `job_id`",
            "`job_id`, `job_id_path` and `statistics`; the return value is the job's id",
        ),
        ("a job that can never run", "retried", "fails at once"),
        ("link to the console", "there", "none"),
    ),
    "BigQueryInsertJobOperator": (
        (
            "`configuration`",
            "with `dryRun`, the id of a job that is none",
            "with `dryRun`, what the query would do: its bytes, type and columns",
        ),
        (
            "",
            "each text in it that ends in `.json` or `.sql` names a file, `gs://bucket/a.json` too",
            "the same, but no address does",
        ),
    ),
    "BigQueryToGCSOperator": (
        (
            "objects of an earlier, larger export under the same pattern",
            "stay beside the new ones",
            "the same: let each run have a folder of its own",
        ),
    ),
    "GCSToBigQueryOperator": (
        ("return value without `max_id_key`", "none", "the job's id"),
        ("`schema_object`", "read by each attempt", "read only where the job is started"),
        ("`external_table=True`", "makes a table that stays outside", "refused"),
        ("`force_delete=True`", "deletes the table before it loads", "refused"),
        ("`source_format`", "also `GOOGLE_SHEETS`, for external tables", "without it"),
        ("`compression`", "of external tables", "no effect"),
    ),
    "jobs of SageMaker": (
        (
            "a name that is taken, `check_if_job_exists`, `action_if_job_exists`, "
            "`check_if_model_exists`, `action_if_model_exists`",
            "by whomever: a time stamp follows, or the task fails; so a retry trains a second "
            "time, or fails",
            "by the task run itself: it is supervised. By another: what makes it the task run's "
            "own follows, or the task fails",
        ),
        ("`max_attempts`", "a deferred task gives up after 60 looks; the job runs on", "no effect"),
        (
            "`max_ingestion_time`",
            "the task fails, the job runs on",
            "the job is stopped, and the task fails",
        ),
        (
            "`execution_timeout`, a person who ends the task",
            "the job runs on",
            "the job is stopped",
        ),
        (
            "`print_log`",
            "each 30 s, and not while deferred",
            "as it is written, also while deferred; without SageMaker's own changes of state",
        ),
        (
            "`check_interval`",
            "time between two looks",
            "the longest time; the first ones are closer together",
        ),
        (
            "XCom",
            "times as Python's `repr`",
            "times in ISO 8601; no `ResponseMetadata`; values of variables that are called "
            "like secrets are masked",
        ),
        ("`config`", "changed, and logged whole", "neither"),
        (
            "roles, numbers as text, `S3Operations`",
            "looked up, converted, done by each attempt",
            "the same, only where the job is started",
        ),
        (
            "missing input",
            "buckets and keys that may not be listed are missing ones",
            "passed over: the job's role may be allowed to",
        ),
        ("model of a transform job that failed", "stays", "removed"),
        ("`SageMakerTransformOperator`'s link", "to the console", "none"),
    ),
    "SageMakerEndpointOperator": (
        (
            "names of models and configurations",
            "as given; an attempt that repeats fails",
            "as given, with what makes them the task run's own",
        ),
        (
            "`operation`",
            "`create` falls back on `update`, `update` fails where there is none",
            "no effect: what is there decides",
        ),
        (
            "an endpoint that never came up",
            "every later attempt fails",
            "is deleted and made anew, where Tradewind made it",
        ),
        (
            "an update that is taken back",
            "succeeds, as the endpoint is in service",
            "fails, and removes what it made",
        ),
        (
            "`config` of the endpoint alone",
            "the same",
            "the same; an endpoint that serves that configuration already is left as it is",
        ),
        (
            "a variant whose model is not the one that is made, two names for one configuration",
            "another model than the one made is served",
            "fails before anything is made",
        ),
        (
            "`wait_for_completion=False`",
            "the same",
            "starts it; nobody rolls back what fails, or removes what is replaced, but "
            "`tradewind sweep`",
        ),
        (
            "`max_ingestion_time`",
            "a number of looks when not deferred",
            "seconds, 36,000 when not given; then it is rolled back",
        ),
    ),
}
"""Rows by the name of an operator of Tradewind, or of a family of them."""
