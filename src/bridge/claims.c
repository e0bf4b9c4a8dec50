/* claims.c - see claims.h. The sockets listen, though nobody answers: a process that connects is told by the kernel
 * whose socket it is. */
#include "bridge/claims.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CPUS_MAX 4096 /* more in a list are not looked at */
#define ASK_TRIES 50  /* between bind and listen of the other one */

struct claim {
	unsigned cpu;
	int fd;
};

struct ranq_claims {
	char realm[32];
	struct claim *list;
	size_t n, room;
};

static socklen_t address(const struct ranq_claims *claims, unsigned cpu, struct sockaddr_un *un)
{
	int len;

	*un = (struct sockaddr_un){.sun_family = AF_UNIX};
	len = snprintf(un->sun_path + 1, sizeof un->sun_path - 1, "ranq-cpu-%lu%s%s-%u", (unsigned long)geteuid(),
		*claims->realm ? "-" : "", claims->realm, cpu);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

/* Pid of the process of this user that has it, 0 when it cannot be told, -1 when it is nobody whom we heed. */
static pid_t holder(const struct ranq_claims *claims, unsigned cpu)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), tries = 0;
	struct ucred cred = {0};
	socklen_t len = sizeof cred;
	struct sockaddr_un un;
	socklen_t size = address(claims, cpu, &un);
	int rc;

	if (fd < 0)
		return 0;
	while ((rc = connect(fd, (struct sockaddr *)&un, size)) != 0 && errno == ECONNREFUSED && ++tries < ASK_TRIES)
		sched_yield();
	if (rc == 0)
		rc = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	close(fd);
	if (rc != 0)
		return 0;
	return cred.uid == geteuid() ? cred.pid : -1;
}

static bool have(const struct ranq_claims *claims, unsigned cpu)
{
	for (size_t i = 0; i < claims->n; i++)
		if (claims->list[i].cpu == cpu)
			return true;
	return false;
}

static bool among(pid_t pid, const pid_t *friends, size_t nfriends)
{
	for (size_t i = 0; i < nfriends; i++)
		if (friends[i] == pid)
			return pid > 0;
	return false;
}

/* Whoever cannot ask, for lack of memory or descriptors, has no advice to heed. */
static bool take_one(struct ranq_claims *claims, unsigned cpu, const pid_t *friends, size_t nfriends)
{
	struct sockaddr_un un;
	socklen_t size = address(claims, cpu, &un);
	struct claim *list;
	pid_t pid;
	int fd;

	if (have(claims, cpu))
		return among(getpid(), friends, nfriends);
	if (claims->n == claims->room) {
		list = realloc(claims->list, (claims->room + 16) * sizeof *list);
		if (!list)
			return true;
		claims->list = list;
		claims->room += 16;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return true;
	if (bind(fd, (struct sockaddr *)&un, size) == 0 && listen(fd, 128) == 0) {
		claims->list[claims->n++] = (struct claim){.cpu = cpu, .fd = fd};
		return true;
	}
	close(fd);
	pid = holder(claims, cpu);
	return pid < 0 || among(pid, friends, nfriends);
}

static void give_back(struct ranq_claims *claims, size_t keep)
{
	while (claims->n > keep)
		close(claims->list[--claims->n].fd);
}

/* Next "a" or "a-b" of a list; false at its end, or where it is no list. */
static bool next_span(const char **text, unsigned *first, unsigned *last)
{
	int used = 0;

	if (sscanf(*text, "%u-%u%n", first, last, &used) != 2 || used == 0) {
		if (sscanf(*text, "%u%n", first, &used) != 1)
			return false;
		*last = *first;
	}
	*text += used;
	*text += **text == ',';
	return *first <= *last && *last < CPUS_MAX;
}

bool ranq_claims_take(struct ranq_claims *claims, const char *cpus, const pid_t *friends, size_t nfriends)
{
	size_t before = claims->n;
	unsigned first, last;

	while (next_span(&cpus, &first, &last))
		for (; first <= last; first++)
			if (!take_one(claims, first, friends, nfriends)) {
				give_back(claims, before);
				return false;
			}
	return true;
}

struct ranq_claims *ranq_claims_create(const char *realm)
{
	struct ranq_claims *claims = calloc(1, sizeof *claims);

	if (claims)
		snprintf(claims->realm, sizeof claims->realm, "%.31s", realm);
	return claims;
}

void ranq_claims_destroy(struct ranq_claims *claims)
{
	if (!claims)
		return;
	give_back(claims, 0);
	free(claims->list);
	free(claims);
}
