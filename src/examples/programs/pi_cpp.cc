// pi_cpp.cc - ranq.h from C++: pi by Monte Carlo (listing 1 of the vignettes of doRedis, as it was meant).
//
//     pi_cpp [TASKS]
//
// Each task returns an estimate from a million points of its own random stream; their mean comes out the same whatever
// workers there are and in whatever order results come.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include <ranq.h>

#include "beside.h"

int main(int argc, char **argv)
{
	const std::unique_ptr<ranq, void (*)(ranq *)> queue(ranq_open(nullptr, nullptr), ranq_close);
	std::map<uint64_t, double> estimates;
	ranq_foreach_options each = RANQ_FOREACH_INIT;

	if (!queue)
		return failed("pi_cpp");
	each.job.module = beside("pi.so");
	each.job.function = "pi";
	each.job.tasks = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10;
	each.job.seed = 1;
	each.job.has_seed = 1;
	each.unordered = 1;
	each.batch = 100;
	each.bar = 1;
	each.user = &estimates;
	each.combine = [](void *user, const ranq_value *values, size_t n) {
		for (size_t i = 0; i < n; i++)
			(*static_cast<std::map<uint64_t, double> *>(user))[values[i].index] = ranq_value_double(&values[i]);
		return 0;
	};
	if (ranq_foreach(queue.get(), &each) != 1)
		return failed("pi_cpp");
	double sum = 0;
	for (const auto &estimate : estimates)
		sum += estimate.second;
	std::printf("%.7f\n", sum / static_cast<double>(estimates.size()));
	return 0;
}
