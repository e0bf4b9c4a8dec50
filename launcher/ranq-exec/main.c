/* ranq-exec - started by ranq-bridge, not by people: forks the processes that run tasks, and guards them. Descriptor 3
 * is the control socket; the argument is the core limit that tasks get back, SOFT:HARD. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exec/descriptors.h"
#include "exec/guardian.h"

#define CONTROL_FD 3

static int usage(void)
{
	fprintf(stderr, "ranq-exec: started by ranq-bridge to run tasks; there is nothing to call here\n");
	return 2;
}

static int is_socket(int fd)
{
	int type;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

static int read_core(const char *text, struct rlimit *core)
{
	unsigned long long soft, hard;

	if (sscanf(text, "%llu:%llu", &soft, &hard) != 2)
		return -1;
	core->rlim_cur = (rlim_t)soft;
	core->rlim_max = (rlim_t)hard;
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit core;
	int null;

	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("ranq-exec " RANQ_VERSION);
		return 0;
	}
	if (argc != 2 || read_core(argv[1], &core) < 0 || !is_socket(CONTROL_FD))
		return usage();
	fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
	ranq_close_from(CONTROL_FD + 1);
	/* the pipes of mpirun: it must not wait for us when its ranks are gone */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		close(null);
	}
	setsid();
	return ranq_guardian_run(CONTROL_FD, &core);
}
