"""RQ with workers that do not fork (its fastest kind), all jobs in one pipeline."""
import os
import subprocess
import sys

import peer

import redis
import rq

connection = redis.Redis(unix_socket_path=peer.redis_socket)
queue = rq.Queue(connection=connection)


def run(tasks, _chunk):
    function = peer.FUNCTIONS[peer.work]
    jobs = queue.enqueue_many([rq.Queue.prepare_data(function, args=(k,), result_ttl=600) for k in range(tasks)])
    values = []
    for job in jobs:
        result = job.latest_result(timeout=120)
        values.append(result.return_value if result else None)
    return values


def main():
    command = [sys.executable, "-m", "rq.cli", "worker", "--quiet", "--worker-class", "rq.worker.SimpleWorker",
               "--url", "unix://" + peer.redis_socket]
    processes = [subprocess.Popen(command, env=os.environ, stdin=subprocess.DEVNULL, stdout=sys.stderr)
                 for _ in range(peer.workers)]
    try:
        if queue.enqueue(peer.noop, 0).latest_result(timeout=60) is None:
            raise SystemExit("the workers do not work")
        peer.serve(rq.__version__ if hasattr(rq, "__version__") else rq.VERSION, run)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    main()
