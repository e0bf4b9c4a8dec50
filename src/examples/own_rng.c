/* own_rng.c - random numbers of your own (listing 4 of the vignettes of doRedis, set.seed.worker).
 *
 *     ranq run --module own_rng.so --function same --as double --range 1-5
 *     ranq run --module own_rng.so --function different --as double --range 1-5 --seed 1
 *
 * The generator is Marsaglia's Super-Duper, seeded as in R: RNGkind("Super-Duper"); set.seed(seed). `same` begins with 55
 * in each task, as the listing does, and draws 0.2115148 five times. `different` begins with the seed that belongs to
 * the task: other numbers in each, and the same ones in each run, whatever worker has the task. */
#include <ranq.h>

RANQ_MODULE;

struct super_duper {
	uint32_t shift, congruence;
};

static void seed_with(struct super_duper *rng, uint32_t seed)
{
	int i;

	for (i = 0; i < 50; i++)
		seed = 69069 * seed + 1;
	rng->shift = seed = 69069 * seed + 1;
	rng->congruence = (69069 * seed + 1) | 1; /* odd, or its period is short */
	if (!rng->shift)
		rng->shift = 1; /* zero stays zero */
}

static double draw(struct super_duper *rng)
{
	rng->shift ^= rng->shift >> 15;
	rng->shift ^= rng->shift << 17;
	rng->congruence *= 69069;
	return (double)(rng->shift ^ rng->congruence) / 4294967295.0;
}

int same(struct ranq_task *task)
{
	struct super_duper rng;

	seed_with(&rng, 55);
	return ranq_task_return_double(task, draw(&rng));
}

int different(struct ranq_task *task)
{
	struct super_duper rng;

	seed_with(&rng, (uint32_t)ranq_task_seed(task));
	return ranq_task_return_double(task, draw(&rng));
}

/* With the streams of the library, but a seed of your own: what R draws after RNGkind("L'Ecuyer-CMRG"); set.seed(55). */
int same_stream(struct ranq_task *task)
{
	ranq_task_set_seed(task, 55);
	return ranq_task_return_double(task, ranq_task_unif(task));
}

/* Two parts of a task with substreams of their own: the second does not depend on how much the first drew. */
int parts(struct ranq_task *task)
{
	double first = 0, second;
	uint64_t i;

	for (i = 0; i <= ranq_task_index(task) % 7; i++)
		first = ranq_task_unif(task);
	ranq_task_next_substream(task);
	second = ranq_task_unif(task);
	return first < 0 ? 1 : ranq_task_return_double(task, second);
}
