"""HyperQueue by its own package for Python: server and worker in one process; commands with their output in a file each."""
import importlib.metadata
import logging
import os
import shutil
import tempfile

import peer

import hyperqueue
import hyperqueue.cluster

COMMANDS = {"commands": ["/bin/true"], "sleep": ["sleep", "0.01"], "trip": ["/bin/true"]}


def main():
    logging.disable(logging.CRITICAL)
    directory = tempfile.mkdtemp(prefix="hyperqueue-")
    config = hyperqueue.cluster.WorkerConfig(cores=peer.workers)
    with hyperqueue.LocalCluster(server_dir=os.path.join(directory, "server"), worker_config=config) as cluster:
        client = cluster.client()
        rounds = 0

        def run(tasks, _chunk):
            nonlocal rounds
            rounds += 1
            where = os.path.join(directory, str(rounds))
            os.mkdir(where)
            job = hyperqueue.Job(default_workdir=where)
            for k in range(tasks):
                job.program(COMMANDS[peer.work], stdout=os.path.join(where, str(k)), stderr=None)
            client.wait_for_jobs([client.submit(job)])
            values = []
            for k in range(tasks):
                with open(os.path.join(where, str(k)), encoding="utf-8") as out:
                    values.append(out.read() if peer.work == "commands" else k)
            shutil.rmtree(where)
            return values

        peer.serve(importlib.metadata.version("hyperqueue"), run)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
