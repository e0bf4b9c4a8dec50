/* topology.c - the door to hwloc. A *place* is an object of the kind that ranks are bound to, as far as it may be used;
 * the plan deals places out to ranks, in the order of the machine (compact) or across its packages (scatter). */
#include "exec/topology.h"

#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ranq_topology {
	hwloc_topology_t hwloc;
	bool synthetic;
};

struct place {
	hwloc_obj_t obj;
	hwloc_bitmap_t cpus;
	/* order of scatter, most important first */
	unsigned thread, in_package, package;
};

/* ---- topology ---------------------------------------------------------------------------------------------------- */

struct ranq_topology *ranq_topology_open(const char *synthetic, struct ranq_err *err)
{
	struct ranq_topology *topology = calloc(1, sizeof *topology);

	if (!topology || hwloc_topology_init(&topology->hwloc) < 0) {
		free(topology);
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	topology->synthetic = synthetic != NULL;
	if (synthetic && hwloc_topology_set_synthetic(topology->hwloc, synthetic) < 0) {
		ranq_err_set(err, RANQ_ERR_INPUT, "'%s' is not a synthetic topology", synthetic);
	} else if (hwloc_topology_load(topology->hwloc) < 0) {
		ranq_err_sys(err, "cannot find out the topology of this machine");
	} else {
		return topology;
	}
	ranq_topology_close(topology);
	return NULL;
}

void ranq_topology_close(struct ranq_topology *topology)
{
	if (!topology)
		return;
	hwloc_topology_destroy(topology->hwloc);
	free(topology);
}

static char *list_of(hwloc_const_bitmap_t set, struct ranq_err *err)
{
	char *list = NULL;

	if (hwloc_bitmap_list_asprintf(&list, set) < 0) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	return list;
}

/* hwloc reads "", "all" and open spans too; a cpu list here is finite and not empty. */
static hwloc_bitmap_t set_of(const char *list, struct ranq_err *err)
{
	hwloc_bitmap_t set = hwloc_bitmap_alloc();

	if (!set) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	if (*list && strspn(list, "0123456789,-") == strlen(list) && hwloc_bitmap_list_sscanf(set, list) == 0 &&
		hwloc_bitmap_weight(set) > 0)
		return set;
	hwloc_bitmap_free(set);
	ranq_err_set(err, RANQ_ERR_INPUT, "'%s' is not a list of cpus like 0,2-3", list);
	return NULL;
}

char *ranq_topology_allowed(const struct ranq_topology *topology, struct ranq_err *err)
{
	hwloc_const_bitmap_t whole = hwloc_topology_get_allowed_cpuset(topology->hwloc);
	hwloc_bitmap_t set;
	char *list;

	if (topology->synthetic)
		return list_of(whole, err);
	set = hwloc_bitmap_alloc();
	if (!set) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	if (hwloc_get_cpubind(topology->hwloc, set, HWLOC_CPUBIND_PROCESS) < 0 || hwloc_bitmap_iszero(set))
		hwloc_bitmap_copy(set, whole);
	list = list_of(set, err);
	hwloc_bitmap_free(set);
	return list;
}

static unsigned count_cores(const struct ranq_topology *topology, hwloc_const_bitmap_t cpus)
{
	hwloc_obj_t core = NULL;
	unsigned n = 0;

	while ((core = hwloc_get_next_obj_by_type(topology->hwloc, HWLOC_OBJ_CORE, core)))
		n += hwloc_bitmap_intersects(core->cpuset, cpus) != 0;
	return n ? n : (unsigned)hwloc_bitmap_weight(cpus);
}

int ranq_topology_count_cores(const struct ranq_topology *topology, const char *allowed)
{
	hwloc_bitmap_t set = set_of(allowed, NULL);
	int n;

	if (!set)
		return -1;
	n = (int)count_cores(topology, set);
	hwloc_bitmap_free(set);
	return n;
}

char *ranq_cpus_union(const char *a, const char *b, struct ranq_err *err)
{
	hwloc_bitmap_t first = set_of(a, err), second = first ? set_of(b, err) : NULL;
	char *list = NULL;

	if (second && hwloc_bitmap_or(first, first, second) < 0)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else if (second)
		list = list_of(first, err);
	hwloc_bitmap_free(first);
	hwloc_bitmap_free(second);
	return list;
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

/* What machines lack (virtual ones often have no L3) is replaced by the next larger kind. */
static hwloc_obj_type_t type_of(const struct ranq_topology *topology, enum ranq_bind bind)
{
	static const hwloc_obj_type_t types[] = {
		[RANQ_BIND_CORE] = HWLOC_OBJ_CORE,
		[RANQ_BIND_PU] = HWLOC_OBJ_PU,
		[RANQ_BIND_L3] = HWLOC_OBJ_L3CACHE,
		[RANQ_BIND_NUMA] = HWLOC_OBJ_NUMANODE,
		[RANQ_BIND_PACKAGE] = HWLOC_OBJ_PACKAGE,
	};
	hwloc_obj_type_t type = types[bind];

	if (hwloc_get_nbobjs_by_type(topology->hwloc, type) > 0)
		return type;
	if (bind == RANQ_BIND_CORE)
		return HWLOC_OBJ_PU;
	return bind == RANQ_BIND_L3 && hwloc_get_nbobjs_by_type(topology->hwloc, HWLOC_OBJ_PACKAGE) > 0
		       ? HWLOC_OBJ_PACKAGE
		       : HWLOC_OBJ_MACHINE;
}

static unsigned ancestor_index(const struct ranq_topology *topology, hwloc_obj_t obj, hwloc_obj_type_t type)
{
	hwloc_obj_t up = obj->type == type ? obj : hwloc_get_ancestor_obj_by_type(topology->hwloc, type, obj);

	return up ? up->logical_index : 0;
}

static unsigned count_before(const struct place *places, size_t n, unsigned package)
{
	unsigned count = 0;
	size_t i;

	for (i = 0; i < n; i++)
		count += places[i].package == package;
	return count;
}

/* Position of a thread in its core: scatter uses all cores once before it uses one twice. */
static unsigned thread_in_core(
	const struct ranq_topology *topology, const struct place *places, size_t n, hwloc_obj_t pu)
{
	unsigned core = ancestor_index(topology, pu, HWLOC_OBJ_CORE), count = 0;

	if (pu->type != HWLOC_OBJ_PU)
		return 0;
	while (n-- > 0 && ancestor_index(topology, places[n].obj, HWLOC_OBJ_CORE) == core)
		count++;
	return count;
}

static void places_free(struct place *places, size_t n)
{
	while (n-- > 0)
		hwloc_bitmap_free(places[n].cpus);
	free(places);
}

/* Nodes of different memory (DRAM, HBM) beside the same cores are one place. */
static bool known_place(const struct place *places, size_t n, hwloc_const_bitmap_t cpus)
{
	while (n-- > 0)
		if (hwloc_bitmap_isequal(places[n].cpus, cpus))
			return true;
	return false;
}

/* Number of places, at least 1; -1 with err. */
static long find_places(const struct ranq_topology *topology, enum ranq_bind bind, hwloc_const_bitmap_t allowed,
	struct place **found, struct ranq_err *err)
{
	hwloc_obj_type_t type = type_of(topology, bind);
	int total = hwloc_get_nbobjs_by_type(topology->hwloc, type);
	struct place *places = calloc(total > 0 ? (size_t)total : 1, sizeof *places), *place;
	hwloc_obj_t obj = NULL;
	size_t n = 0;

	while (places && (obj = hwloc_get_next_obj_by_type(topology->hwloc, type, obj))) {
		if (!hwloc_bitmap_intersects(obj->cpuset, allowed))
			continue;
		place = &places[n];
		place->obj = obj;
		place->cpus = hwloc_bitmap_alloc();
		if (!place->cpus || hwloc_bitmap_and(place->cpus, obj->cpuset, allowed) < 0) {
			places_free(places, n + 1);
			places = NULL;
			break;
		}
		if (obj->type == HWLOC_OBJ_NUMANODE && known_place(places, n, place->cpus)) {
			hwloc_bitmap_free(place->cpus);
			continue;
		}
		place->package = ancestor_index(topology, obj, HWLOC_OBJ_PACKAGE);
		place->in_package = count_before(places, n, place->package);
		place->thread = thread_in_core(topology, places, n, obj);
		n++;
	}
	*found = places;
	if (!places)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	if (n)
		return (long)n;
	free(places);
	return ranq_err_set(err, RANQ_ERR_INPUT, "none of the allowed cpus is in this machine");
}

static int compare_scatter(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	if (x->in_package != y->in_package)
		return x->in_package < y->in_package ? -1 : 1;
	return x->package < y->package ? -1 : x->package > y->package;
}

/* ---- plan -------------------------------------------------------------------------------------------------------- */

static int numa_node_of(const struct ranq_topology *topology, hwloc_const_bitmap_t cpus)
{
	hwloc_obj_t node = NULL;
	int found = -1;

	while ((node = hwloc_get_next_obj_by_type(topology->hwloc, HWLOC_OBJ_NUMANODE, node))) {
		if (!hwloc_bitmap_intersects(node->cpuset, cpus))
			continue;
		if (found >= 0)
			return -1;
		found = (int)node->os_index;
	}
	return found;
}

static void describe(const struct ranq_topology *topology, const struct place *place, char text[96])
{
	hwloc_obj_t obj = place->obj;

	switch (obj->type) {
	case HWLOC_OBJ_PU:
		snprintf(text, 96, "package %u core %u pu %u", place->package,
			ancestor_index(topology, obj, HWLOC_OBJ_CORE), obj->os_index);
		break;
	case HWLOC_OBJ_CORE:
		snprintf(text, 96, "package %u core %u", place->package, obj->logical_index);
		break;
	case HWLOC_OBJ_L3CACHE:
		snprintf(text, 96, "package %u L3 %u", place->package, obj->logical_index);
		break;
	case HWLOC_OBJ_NUMANODE:
		snprintf(text, 96, "numa node %u", obj->os_index);
		break;
	case HWLOC_OBJ_PACKAGE:
		snprintf(text, 96, "package %u", obj->logical_index);
		break;
	default:
		snprintf(text, 96, "machine");
		break;
	}
}

static int fill(const struct ranq_topology *topology, const struct place *place, struct ranq_placement *placement,
	struct ranq_err *err)
{
	placement->cpus = list_of(place->cpus, err);
	if (!placement->cpus)
		return -1;
	placement->numa_node = numa_node_of(topology, place->cpus);
	placement->ncpus = (unsigned)hwloc_bitmap_weight(place->cpus);
	placement->ncores = count_cores(topology, place->cpus);
	describe(topology, place, placement->text);
	return 0;
}

static void plan_none(unsigned ranks, struct ranq_placement *placements)
{
	unsigned i;

	for (i = 0; i < ranks; i++) {
		placements[i] = (struct ranq_placement){.numa_node = -1};
		snprintf(placements[i].text, sizeof placements[i].text, "not bound");
	}
}

int ranq_topology_plan(const struct ranq_topology *topology, const char *allowed, enum ranq_bind bind, bool scatter,
	unsigned ranks, struct ranq_placement *placements, struct ranq_err *err)
{
	hwloc_bitmap_t set;
	struct place *places;
	unsigned i;
	long n;

	plan_none(ranks, placements);
	if (bind == RANQ_BIND_NONE)
		return 0;
	set = set_of(allowed, err);
	if (!set)
		return -1;
	n = find_places(topology, bind, set, &places, err);
	hwloc_bitmap_free(set);
	if (n < 0)
		return -1;
	if (scatter)
		qsort(places, (size_t)n, sizeof *places, compare_scatter);
	for (i = 0; i < ranks; i++)
		if (fill(topology, &places[i % (unsigned long)n], &placements[i], err) < 0)
			break;
	places_free(places, (size_t)n);
	if (i == ranks)
		return 0;
	while (i-- > 0)
		ranq_placement_clear(&placements[i]);
	return -1;
}

int ranq_topology_places(
	const struct ranq_topology *topology, const char *allowed, enum ranq_bind bind, struct ranq_err *err)
{
	hwloc_bitmap_t set;
	struct place *places;
	long n;

	if (bind == RANQ_BIND_NONE)
		return 0;
	set = set_of(allowed, err);
	if (!set)
		return -1;
	n = find_places(topology, bind, set, &places, err);
	hwloc_bitmap_free(set);
	if (n > 0)
		places_free(places, (size_t)n);
	return (int)n;
}

void ranq_placement_clear(struct ranq_placement *placement)
{
	free(placement->cpus);
	*placement = (struct ranq_placement){.numa_node = -1};
}
