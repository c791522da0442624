"""A bucket that speaks S3, and a cluster of real processes: moto's server and Dask's own LocalCluster.

Neither is ours; both are met by real clients on loopback. What a test breaks, it breaks by the store's own
calls, by a signal to a worker, or by taking workers away.
"""

import logging
import os
import time
from contextlib import contextmanager

SURROUNDINGS = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "not a secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def environ(**members):
    """Set variables of this process, which processes started from it inherit."""
    before = {name: os.environ.get(name) for name in members}
    os.environ.update(members)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Bucket:
    """One bucket of a server that runs in a thread of this process.

    Attributes:
        name: The bucket.
        endpoint: Where the server listens.
    """

    def __init__(self, name, endpoint):
        import s3fs

        self.name, self.endpoint = name, endpoint
        self._fs = s3fs.S3FileSystem(use_listings_cache=False)
        self._fs.call_s3("create_bucket", Bucket=name)

    def put(self, key, content):
        """Write an object."""
        self._fs.call_s3("put_object", Bucket=self.name, Key=key, Body=content)

    def remove(self, key):
        """Remove an object."""
        self._fs.call_s3("delete_object", Bucket=self.name, Key=key)

    def fill(self, prefix, table):
        """Write many objects below a prefix, and return the address of the folder they make."""
        for name, content in table.items():
            self.put(f"{prefix}/{name}", content)
        return f"s3://{self.name}/{prefix}"


@contextmanager
def bucket(name="models"):
    """Start the server, with a bucket in it, and point this process at it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    try:
        with environ(**SURROUNDINGS, AWS_ENDPOINT_URL=endpoint):
            yield Bucket(name, endpoint)
    finally:
        server.stop()


class Farm:
    """A scheduler in this process and workers of their own; they have the environment of their start.

    Attributes:
        cluster: Dask's.
        address: What `--cluster` takes.
    """

    def __init__(self, cluster):
        self.cluster = cluster
        self.address = cluster.scheduler_address

    def ready(self):
        """Wait for a worker: those that were killed have to be started again."""
        self.cluster.wait_for_workers(1, timeout=60)

    def dismiss(self):
        """Take all workers away; nobody starts another."""
        self.cluster.scale(0)
        while self.cluster.scheduler.workers:
            time.sleep(0.02)

    def close(self):
        """End the scheduler and what it has."""
        self.cluster.close()


@contextmanager
def farm(workers=2, **options):
    """Start a cluster on loopback; its workers are processes unless an option says otherwise."""
    from distributed import LocalCluster

    settings = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "processes": True,
        "protocol": "tcp://",
        "dashboard_address": "127.0.0.1:0",
        "host": "127.0.0.1",
        "memory_limit": 0,
        "silence_logs": logging.CRITICAL,
        **options,
    }
    with LocalCluster(**settings) as cluster:
        yield Farm(cluster)
