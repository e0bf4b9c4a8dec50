/* ranq-exec - started by ranq-bridge, not by people: forks the processes that run tasks, and guards them. Descriptor 3
 * is the control socket; the first two arguments are limits that tasks get back, of core files and of descriptors,
 * SOFT:HARD; with a third one, "black-box", descriptor 4 is where the end of the rank is noted. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exec/descriptors.h"
#include "exec/guardian.h"

#define CONTROL_FD 3
#define BLACK_BOX_FD 4

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

static int read_limit(const char *text, struct rlimit *limit)
{
	unsigned long long soft, hard;

	if (sscanf(text, "%llu:%llu", &soft, &hard) != 2)
		return -1;
	limit->rlim_cur = (rlim_t)soft;
	limit->rlim_max = (rlim_t)hard;
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit core, files;
	int null, box;

	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("ranq-exec " RANQ_VERSION);
		return 0;
	}
	box = argc == 4 && !strcmp(argv[3], "black-box") ? BLACK_BOX_FD : -1;
	if (argc != (box < 0 ? 3 : 4) || read_limit(argv[1], &core) < 0 || read_limit(argv[2], &files) < 0 ||
		!is_socket(CONTROL_FD))
		return usage();
	fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
	if (box >= 0)
		fcntl(box, F_SETFD, FD_CLOEXEC);
	ranq_close_from(box < 0 ? CONTROL_FD + 1 : BLACK_BOX_FD + 1);
	/* the pipes of mpirun: it must not wait for us when its ranks are gone */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		close(null);
	}
	setsid();
	return ranq_guardian_run(CONTROL_FD, box, &core, &files);
}
