# doRedis: foreach over its workers on this machine.
source(file.path(Sys.getenv("PYTHONPATH"), "peer.R"))
suppressPackageStartupMessages({
  library(foreach)
  library(doRedis)
})
invisible(start_redis())
registerDoRedis("bench", port = port, password = password)
startLocalWorkers(workers, "bench", port = port, password = password, log = "/dev/null", linger = 1)
serve(as.character(packageVersion("doRedis")), function(tasks, chunk) {
  setChunkSize(chunk)
  foreach(k = seq_len(tasks) - 1L) %dopar% k
})
removeQueue("bench")
