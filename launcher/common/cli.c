/* cli.c - see cli.h. */
#include "common/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/jobid.h"
#include "client/resolve.h"

#define PATIENCE_MS 60000

const struct ranq_option ranq_cli_common_options[] = {
	{"server", 0, "URL", RANQ_OPTION_TEXT, offsetof(struct ranq_cli_common, server),
		"redis://HOST[:PORT][/DB], rediss://..., unix:///PATH (default: RANQ_SERVER, config, 'ranq server')",
		NULL, 0, 0},
	{"queue", 'q', "QUEUE", RANQ_OPTION_TEXT, offsetof(struct ranq_cli_common, queue),
		"queue to use (default: RANQ_QUEUE, config, 'default')", NULL, 0, 0},
	{"json", 0, NULL, RANQ_OPTION_FLAG, offsetof(struct ranq_cli_common, json), "print JSON", NULL, 0, 0},
	{"help", 'h', NULL, RANQ_OPTION_FLAG, 0, "show this help", NULL, 0, 0},
	{0},
};
const struct ranq_option ranq_cli_server_options[] = {
	{"server", 0, "URL", RANQ_OPTION_TEXT, offsetof(struct ranq_cli_common, server),
		"redis://HOST[:PORT][/DB], rediss://..., unix:///PATH (default: RANQ_SERVER, config, 'ranq server')",
		NULL, 0, 0},
	{"queue", 'q', "QUEUE", RANQ_OPTION_TEXT, offsetof(struct ranq_cli_common, queue),
		"queue to use (default: RANQ_QUEUE, config, 'default')", NULL, 0, 0},
	{"help", 'h', NULL, RANQ_OPTION_FLAG, 0, "show this help", NULL, 0, 0},
	{0},
};

static bool reader_left;

void ranq_cli_note_write_error(int error)
{
	reader_left = reader_left || error == EPIPE;
}

int ranq_cli_fail(const struct ranq_command *command, const struct ranq_err *err)
{
	fflush(stdout);
	if (reader_left && err->code != RANQ_ERR_INTERRUPTED)
		return 128 + SIGPIPE;
	fprintf(stderr, "ranq %s: %s\n", command->name, err->text);
	return ranq_err_status(err->code);
}

void ranq_cli_say(const struct ranq_command *command, const char *format, ...)
{
	char text[4096];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fprintf(stderr, "ranq %s: %s\n", command->name, text);
}

/* ---- interrupts ------------------------------------------------------------------------------------------------ */
static int interrupt_pipe[2] = {-1, -1};
static volatile sig_atomic_t interrupt_signal;

static void on_signal(int signo)
{
	int saved = errno;
	interrupt_signal = signo;
	ssize_t n = write(interrupt_pipe[1], "!", 1); /* full: it is readable already */
	(void)n;
	errno = saved;
}

int ranq_cli_catch_signals(struct ranq_err *err)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_RESETHAND};
	if (pipe2(interrupt_pipe, O_CLOEXEC | O_NONBLOCK))
		return ranq_err_sys(err, "cannot make a pipe");
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		struct sigaction old;
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) /* nohup stays nohup */
			sigaction(signals[i], &action, NULL);
	}
	return 0;
}

bool ranq_cli_interrupted(void)
{
	return interrupt_signal != 0;
}

void ranq_cli_interrupt_handled(void)
{
	char dropped[16];
	while (interrupt_pipe[0] >= 0 && read(interrupt_pipe[0], dropped, sizeof dropped) > 0)
		;
}

/* ---- sessions -------------------------------------------------------------------------------------------------- */
static void outage(void *user, const char *text)
{
	(void)user;
	fprintf(stderr, "ranq: %s\n", text);
}

struct ranq_session *ranq_cli_open_at(const struct ranq_server_addr *addr, enum ranq_origin origin, const char *queue,
	bool create, int64_t lease_ms, struct ranq_err *err)
{
	struct ranq_session_options options = {
		.queue = queue,
		.create = create,
		.lease_ms = lease_ms,
		.patience_ms = PATIENCE_MS,
		.interrupt_fd = interrupt_pipe[0],
		.notice = outage,
	};
	struct ranq_session *session = ranq_session_open(addr, &options, err);
	if (!session && err->code == RANQ_ERR_SERVER && origin == RANQ_ORIGIN_CONNECTION) {
		struct ranq_err why = *err;
		ranq_err_set(err, why.code, "%s; start your server again with 'ranq server start'", why.text);
	}
	return session;
}

static struct ranq_session *open_queue(
	const struct ranq_cli_common *common, const char *queue, bool create, int64_t lease_ms, struct ranq_err *err)
{
	struct ranq_server_addr addr;
	enum ranq_origin origin;
	int rc = ranq_resolve_server(common->server, &addr, &origin, err);
	if (rc <= 0) {
		if (rc == 0)
			ranq_resolve_none(err);
		return NULL;
	}
	struct ranq_session *session = ranq_cli_open_at(&addr, origin, queue, create, lease_ms, err);
	ranq_server_addr_clear(&addr);
	return session;
}

struct ranq_session *ranq_cli_open(
	const struct ranq_cli_common *common, bool create, int64_t lease_ms, struct ranq_err *err)
{
	char queue[RANQ_QUEUE_NAME_MAX + 1];
	if (ranq_resolve_queue(common->queue, queue, NULL, err))
		return NULL;
	return open_queue(common, queue, create, lease_ms, err);
}

struct ranq_session *ranq_cli_open_job(
	const struct ranq_cli_common *common, const char *id, uint64_t *job, struct ranq_err *err)
{
	char queue[RANQ_QUEUE_NAME_MAX + 1];
	if (ranq_jobid_parse(id, queue, job, err) || (!queue[0] && ranq_resolve_queue(common->queue, queue, NULL, err)))
		return NULL;
	struct ranq_session *session = open_queue(common, queue, false, 0, err);
	if (session && *job == 0) {
		struct ranq_job_info info;
		if (ranq_session_info(session, 0, &info, err)) {
			ranq_session_close(session);
			return NULL;
		}
		*job = info.job;
	}
	return session;
}

const char *ranq_cli_job_text(const struct ranq_session *session, uint64_t job)
{
	static char text[RANQ_QUEUE_NAME_MAX + 32];
	snprintf(text, sizeof text, "%s/%llu", session->queue.name, (unsigned long long)job);
	return text;
}

/* Before anything is done: what is no id at all must not be found behind jobs that are removed already. */
static int check_ids(const struct ranq_operands *operands, struct ranq_err *err)
{
	char queue[RANQ_QUEUE_NAME_MAX + 1];
	uint64_t job;
	for (int i = 0; i < operands->n; i++)
		if (ranq_jobid_parse(operands->at[i], queue, &job, err) < 0)
			return -1;
	return 0;
}

int ranq_cli_each_job(const struct ranq_command *command, const struct ranq_cli_common *common,
	const struct ranq_operands *operands, ranq_cli_job_fn *act, void *user)
{
	int worst = 0;
	struct ranq_err bad = {0};
	if (check_ids(operands, &bad) < 0)
		return ranq_cli_fail(command, &bad);
	for (int i = 0; i < operands->n && !ranq_cli_interrupted(); i++) {
		struct ranq_err err = {0};
		uint64_t job;
		struct ranq_session *session = ranq_cli_open_job(common, operands->at[i], &job, &err);
		int status = session ? act(user, session, job, &err) : ranq_err_status(err.code);
		if (session && err.code == RANQ_ERR_NOTFOUND)
			ranq_err_set(&err, RANQ_ERR_NOTFOUND, "no such job: '%s'", ranq_cli_job_text(session, job));
		if (err.code != RANQ_ERR_OK)
			status = ranq_cli_fail(command, &err);
		ranq_session_close(session);
		if (status > worst)
			worst = status;
	}
	return worst;
}

int ranq_cli_close_stdout(struct ranq_err *err)
{
	bool failed = ferror(stdout) != 0;
	bool unflushed = fflush(stdout) != 0;
	if (unflushed)
		ranq_cli_note_write_error(errno);
	if (unflushed || failed)
		return ranq_err_sys(err, "cannot write to standard output");
	return 0;
}

int ranq_cli_list(const struct ranq_command *command, int argc, char **argv, ranq_cli_list_fn *list)
{
	struct ranq_cli_common common = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	int rc = ranq_options_parse(command, argc, argv, &common, &operands, &err);
	if (rc > 0)
		return 0;
	struct ranq_session *session = rc == 0 ? ranq_cli_open(&common, false, 0, &err) : NULL;
	rc = session ? list(session, common.json, &err) : -1;
	if (rc == 0)
		rc = ranq_cli_close_stdout(&err);
	ranq_session_close(session);
	return rc ? ranq_cli_fail(command, &err) : 0;
}
