# What the peers in R have in common: a private Redis on TCP (doRedis knows no Unix sockets), and the lines that they
# speak (harness/peers.py).
workers <- as.integer(Sys.getenv("RANQ_BENCH_WORKERS", "2"))
port <- sample(20000:60000, 1)
password <- paste(sample(c(letters, 0:9), 40, replace = TRUE), collapse = "")

# With the settings of `ranq server`; killed by whoever started us, with all that we started.
start_redis <- function() {
  directory <- tempfile("redis")
  dir.create(directory, mode = "0700")
  config <- file.path(directory, "redis.conf")
  writeLines(c(paste("port", port), "bind 127.0.0.1", paste("requirepass", password), paste("dir", directory), "save \"\"",
               "appendonly yes", "appendfsync everysec"), config)
  system2("redis-server", config, stdout = FALSE, stderr = FALSE, wait = FALSE)
  for (i in 1:500) {
    connection <- try(suppressWarnings(redux::hiredis(port = port, password = password)), silent = TRUE)
    if (!inherits(connection, "try-error")) return(connection)
    Sys.sleep(0.02)
  }
  stop("redis-server does not start")
}

say <- function(...) {
  cat(sprintf(...), "\n", sep = "")
  flush(stdout())
}

# run(tasks, chunk) returns the numbers 0 to tasks - 1 in order, each made by a task.
serve <- function(version, run) {
  say("{\"ready\": true, \"version\": \"%s\"}", version)
  input <- file("stdin", "r")
  while (length(line <- readLines(input, 1)) == 1) {
    request <- as.integer(strsplit(line, " ")[[1]])
    start <- proc.time()[["elapsed"]]
    results <- run(request[1], request[2])
    seconds <- proc.time()[["elapsed"]] - start
    right <- identical(as.integer(unlist(results)), seq_len(request[1]) - 1L)
    say("{\"seconds\": %.4f, \"right\": %s}", seconds, if (right) "true" else "false")
  }
}
