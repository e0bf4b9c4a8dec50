# Makes rng.txt beside it, for tests/unit/test_rng.c:   Rscript tests/data/rng.R >tests/data/rng.txt
# What tasks of a job draw is what R draws after set.seed(seed) and task + 1 times nextRNGStream. A line:
#   seed task substream  4 times runif  4 times rnorm from the same state  what {seed} is
# Numbers with 17 digits, which is all that a double has. A seed above 2^31 - 1 is R's negative seed of the same bits.
library(parallel)
RNGkind("L'Ecuyer-CMRG", "Inversion", "Rejection")
cat("#", R.version.string, "\n")
number <- function(x) sprintf("%.17g", x)
for (seed in c(0, 1, 42, 55, 2015, 123456789, 2147483647, -1, -2147483647)) {
	set.seed(seed)
	state <- .Random.seed
	task <- 0
	for (want in c(0, 1, 2, 9, 99, 1000)) {
		while (task <= want) {
			state <- nextRNGStream(state)
			task <- task + 1
		}
		from <- state
		for (substream in 0:2) {
			.Random.seed <- from
			uniform <- runif(4)
			.Random.seed <- from
			normal <- rnorm(4)
			.Random.seed <- from
			cat(if (seed < 0) seed + 2^32 else seed, want, substream, number(uniform), number(normal),
				number(floor(runif(1) * 2147483647) + 1), "\n")
			from <- nextRNGSubStream(from)
		}
	}
}
