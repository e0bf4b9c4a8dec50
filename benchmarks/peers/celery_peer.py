"""Celery with Redis as broker and result backend: `celery` sends each task by itself, chunk > 1 uses its chunks."""
import os
import subprocess
import sys

import peer

import celery

URL = "redis+socket://" + peer.redis_socket
app = celery.Celery("celery_peer", broker=URL, backend=URL)
app.conf.update(worker_prefetch_multiplier=64, task_ignore_result=False, task_acks_late=False, worker_send_task_events=False,
                broker_connection_retry_on_startup=True, result_expires=3600, worker_hijack_root_logger=False)
noop = app.task(name="noop")(peer.noop)
sleep = app.task(name="sleep")(peer.sleep)
command = app.task(name="command")(peer.command)


def run(tasks, chunk):
    task = {"sleep": sleep, "commands": command}.get(peer.work, noop)
    if chunk > 1:
        pieces = task.chunks(((k,) for k in range(tasks)), chunk).apply_async().get(timeout=120)
        return [value for piece in pieces for value in piece]
    return [result.get(timeout=120) for result in [task.delay(k) for k in range(tasks)]]


def main():
    pool = "threads" if peer.work == "sleep" else "prefork"
    environment = dict(os.environ, C_FORCE_ROOT="1")
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_peer", "worker", "--pool", pool, "--concurrency", str(peer.workers),
         "--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"],
        env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    try:
        noop.delay(0).get(timeout=60)
        peer.serve(celery.__version__, run)
    finally:
        worker.terminate()
        try:
            worker.wait(10)
        except subprocess.TimeoutExpired:
            worker.kill()


if __name__ == "__main__":
    main()
