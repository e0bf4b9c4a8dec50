# rrq: a bulk of tasks for its workers on this machine.
source(file.path(Sys.getenv("PYTHONPATH"), "peer.R"))
library(rrq)
connection <- start_redis()
Sys.setenv(REDIS_URL = sprintf("redis://:%s@127.0.0.1:%d", password, port))
controller <- rrq_controller("bench", connection)
rrq_default_controller_set(controller)
manager <- suppressMessages(rrq_worker_spawn(workers, progress = FALSE))
serve(as.character(packageVersion("rrq")), function(tasks, chunk) {
  ids <- rrq_task_create_bulk_call(function(k) k, seq_len(tasks) - 1L)
  rrq_task_wait(ids, timeout = 120, time_poll = 0.01, progress = FALSE)
  results <- rrq_task_results(ids)
  rrq_task_delete(ids)
  results
})
manager$kill()
