#include "tests/support/client_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct client_rig rig;

void client_rig_start(void)
{
	test_redis_start(&rig.server, 1, NULL);
	snprintf(rig.url, sizeof rig.url, "unix://%s", rig.server.socket);
	setenv("RANQ_SERVER", rig.url, 1);
	rig.bridge = 0;
}

void client_rig_end_bridge(int signo)
{
	int status;
	if (!rig.bridge)
		return;
	kill(rig.bridge, signo);
	ck_assert_int_eq(waitpid(rig.bridge, &status, 0), rig.bridge);
	rig.bridge = 0;
}

void client_rig_stop(void)
{
	client_rig_end_bridge(SIGKILL);
	test_redis_stop(&rig.server);
}

static pid_t start_bridge(const char *mode, const char *range, const char *option, const char *value)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execl(RANQ_TEST_BUILDDIR "/tests/support/fake_bridge", "fake_bridge", "-m", mode, "-r", range, option, value,
		"default", (char *)NULL);
	_exit(127);
}

void client_rig_bridge(const char *mode, const char *range, const char *pause_ms)
{
	rig.bridge = start_bridge(mode, range, "-s", pause_ms);
}

void client_rig_short_bridge(const char *mode, const char *range, const char *tasks)
{
	rig.bridge = start_bridge(mode, range, "-n", tasks);
}

pid_t client_rig_slow_bridge(const char *mode, const char *range, const char *file)
{
	return start_bridge(mode, range, "-w", file);
}

struct ranq *client_rig_open(void)
{
	struct ranq *ranq = ranq_open(rig.url, NULL);
	ck_assert_msg(ranq != NULL, "%s", ranq_last_error());
	return ranq;
}

struct ranq_submit_options client_rig_echo(uint64_t tasks)
{
	static const char *const echo[] = {"echo", "{}", NULL};
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	options.command = echo;
	options.tasks = tasks;
	return options;
}

struct ranq_job *client_rig_submit(struct ranq *ranq, const struct ranq_submit_options *options)
{
	struct ranq_job *job = ranq_submit(ranq, options);
	ck_assert_msg(job != NULL, "%s", ranq_last_error());
	return job;
}
