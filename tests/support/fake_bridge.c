/* fake_bridge.c - a bridge without MPI and executors for tests of the client: leases, "executes" by itself, commits.
 *
 *   fake_bridge [-m MODE] [-r RANGE] [-s MS] [-n TASKS] [-w FILE] QUEUE        server: $RANQ_SERVER
 *
 * MODE: echo (argument and newline; a task whose argument starts with "fail" fails with status 1), good (the same, and
 * nothing fails), index8 (the index as 8 bytes), big (1 MB each). RANGE: most tasks of one commit item; MS: pause after
 * each commit; TASKS: leave after so many; FILE: task 0 is not done as long as it is there. Leaves on SIGTERM, giving
 * back what it holds. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/resolve.h"
#include "client/session.h"
#include "common/arguments.h"
#include "record/segment.h"

struct fake {
	struct ranq_session *session;
	const char *mode, *wait_for;
	char id[RANQ_ID_LEN + 1];
	uint64_t seq, range, pause_ms, left;
	struct ranq_arguments arguments;
	uint64_t job;
	char *big;
};

static volatile sig_atomic_t leaving;

static void on_term(int signo)
{
	(void)signo;
	leaving = 1;
}

static void check(int rc, const struct ranq_err *err, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "fake_bridge: %s: %s\n", what, err->text);
	exit(1);
}

static struct ranq_reply *call(struct fake *fake, struct ranq_cmd *cmd)
{
	struct ranq_err err = {0};
	struct ranq_reply *reply;
	check(ranq_session_call(fake->session, cmd, RANQ_NEVER, &reply, &err), &err, "call");
	ranq_cmd_clear(cmd);
	return reply;
}

static void join(struct fake *fake)
{
	struct ranq_bridge_meta meta = {
		.host = "fakehost",
		.allocation = "fake-1",
		.user = "nobody",
		.version = "0",
		.tags = "",
		.binding = "none",
		.ranks = 2,
	};
	struct ranq_err err = {0};
	struct ranq_cmd cmd;
	int64_t lease_ms;
	ranq_id_new(fake->id);
	ranq_cmd_init(&cmd);
	check(ranq_queue_join_cmd(&fake->session->queue, &cmd, fake->id, &meta), &err, "join");
	struct ranq_reply *reply = call(fake, &cmd);
	check(ranq_queue_join_parse(reply, &lease_ms, &err), &err, "join");
	ranq_reply_destroy(reply);
}

static void use_job(struct fake *fake, uint64_t job)
{
	struct ranq_err err = {0};
	if (fake->job == job)
		return;
	if (fake->job)
		ranq_arguments_close(&fake->arguments);
	check(ranq_arguments_open(&fake->arguments, fake->session, job, &err), &err, "spec");
	fake->job = job;
}

/* Result of one task; 1 when it failed. */
static int execute(struct fake *fake, uint64_t index, struct ranq_segment_writer *writer)
{
	char text[1 << 16];
	if (strcmp(fake->mode, "index8") == 0)
		return ranq_segment_writer_add(writer, RANQ_TASK_OK, &index, sizeof index);
	if (strcmp(fake->mode, "big") == 0) {
		memset(fake->big, 'a' + (int)(index % 26), 1000000);
		return ranq_segment_writer_add(writer, RANQ_TASK_OK, fake->big, 1000000);
	}
	const char *arg = ranq_arguments_get(&fake->arguments, index);
	int n = snprintf(text, sizeof text, "%s\n", arg ? arg : "");
	bool fails = strcmp(fake->mode, "echo") == 0 && arg && strncmp(arg, "fail", 4) == 0;
	if (ranq_segment_writer_add(writer, fails ? RANQ_TASK_ERROR : RANQ_TASK_OK, text, (size_t)n))
		exit(1);
	return fails;
}

static void pack_failure(uint64_t index, struct ranq_buf *out)
{
	static const char tail[] = "first line\noops\n";
	struct ranq_failure failure = {
		.index = index,
		.status = RANQ_TASK_ERROR,
		.exit_code = 1,
		.attempts = 1,
		.elapsed_us = 1000,
		.host = "fakehost",
		.worker = "fake/1",
		.reason = "exit status 1",
		.err_tail = {tail, sizeof tail - 1},
	};
	ranq_buf_init(out, 0);
	if (ranq_failure_pack(&failure, out))
		exit(1);
}

#define FAILURES 64

/* Executes and commits [start, end); returns false when the queue did not want it. */
static bool commit(struct fake *fake, const struct ranq_range *range, uint64_t start, uint64_t end)
{
	struct ranq_segment_writer writer;
	struct ranq_buf item, packed[FAILURES];
	struct ranq_bytes failures[FAILURES];
	uint64_t failed[FAILURES];
	struct ranq_commit_item commit = {
		.job = range->job, .at = start, .seq = range->seq, .start = start, .end = end, .elapsed_us = 1000};
	struct ranq_err err = {0};
	ranq_segment_writer_init(&writer, 0);
	for (uint64_t index = start; index < end; index++) {
		if (!execute(fake, index, &writer))
			continue;
		if (commit.nfailures == FAILURES)
			exit(1);
		pack_failure(index, &packed[commit.nfailures]);
		failures[commit.nfailures] =
			(struct ranq_bytes){packed[commit.nfailures].data, packed[commit.nfailures].len};
		failed[commit.nfailures++] = index;
	}
	memcpy(commit.counts, writer.counts, sizeof commit.counts);
	ranq_buf_init(&item, 0);
	if (ranq_segment_writer_finish(&writer, &item))
		exit(1);
	if (fake->arguments.spec.results == RANQ_RESULTS_KEEP)
		commit.item = (struct ranq_bytes){item.data, item.len};
	commit.failure_index = failed;
	commit.failures = failures;
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	check(ranq_queue_commit_begin(&fake->session->queue, &cmd, fake->id), &err, "commit");
	check(ranq_queue_commit_add(&cmd, &commit), &err, "commit");
	struct ranq_reply *reply = call(fake, &cmd);
	static struct ranq_commit_reply out;
	int rc = ranq_queue_commit_parse(reply, &out, &err);
	bool gone = rc && err.code == RANQ_ERR_GONE; /* by a server that went back in time: the next lease tells */
	check(gone ? 0 : rc, &err, "commit");
	ranq_reply_destroy(reply);
	for (size_t i = 0; i < commit.nfailures; i++)
		ranq_buf_clear(&packed[i]);
	ranq_buf_clear(&item);
	ranq_segment_writer_clear(&writer);
	return !gone && out.n && out.accepted[0];
}

static void bell(struct fake *fake, int64_t ms)
{
	struct ranq_err err = {0};
	memcpy(fake->session->client, fake->id, sizeof fake->id);
	check(ranq_session_bell(fake->session, ranq_session_after(ms), NULL, NULL, &err) < 0 ? -1 : 0, &err, "bell");
}

static void work(struct fake *fake, const struct ranq_range *range)
{
	use_job(fake, range->job);
	for (uint64_t at = range->start; at < range->end && !leaving && fake->left;) {
		uint64_t end = range->end - at > fake->range ? at + fake->range : range->end;
		if (end - at > fake->left)
			end = at + fake->left;
		while (at == 0 && fake->wait_for && access(fake->wait_for, F_OK) == 0 && !leaving)
			ranq_session_wait_fd(fake->session, -1, ranq_session_after(10), NULL);
		if (!commit(fake, range, at, end))
			return;
		fake->left -= end - at;
		at = end;
		if (fake->pause_ms)
			ranq_session_wait_fd(fake->session, -1, ranq_session_after((int64_t)fake->pause_ms), NULL);
	}
}

static void leave(struct fake *fake)
{
	bool more = true;
	while (more) {
		struct ranq_err err = {0};
		struct ranq_cmd cmd;
		ranq_cmd_init(&cmd);
		check(ranq_queue_leave_cmd(&fake->session->queue, &cmd, fake->id), &err, "leave");
		struct ranq_reply *reply = call(fake, &cmd);
		check(ranq_queue_leave_parse(reply, &more, &err), &err, "leave");
		ranq_reply_destroy(reply);
	}
}

static void serve(struct fake *fake)
{
	static struct ranq_lease_reply lease;
	uint64_t restarts = 0;
	while (!leaving && fake->left) {
		struct ranq_err err = {0};
		struct ranq_cmd cmd;
		if (restarts != fake->session->restarts) {
			/* instead of a resync: whatever the server believes that we hold goes back */
			restarts = fake->session->restarts;
			leave(fake);
			join(fake);
		}
		ranq_cmd_init(&cmd);
		check(ranq_queue_lease_cmd(
			      &fake->session->queue, &cmd, fake->id, ++fake->seq, 4 * fake->range, 4, 0, -1, NULL),
			&err, "lease");
		struct ranq_reply *reply = call(fake, &cmd);
		int rc = ranq_queue_lease_parse(reply, &lease, &err);
		ranq_reply_destroy(reply);
		if (rc && err.code == RANQ_ERR_GONE) {
			join(fake);
			continue;
		}
		check(rc, &err, "lease");
		if (lease.drain)
			break;
		for (size_t i = 0; i < lease.n; i++)
			work(fake, &lease.ranges[i]);
		if (!lease.n)
			bell(fake, 1000);
	}
	leave(fake);
}

int main(int argc, char **argv)
{
	struct fake fake = {.mode = "echo", .range = 64, .left = UINT64_MAX};
	struct sigaction action = {.sa_handler = on_term};
	struct ranq_server_addr addr;
	struct ranq_err err = {0};
	int letter;
	while ((letter = getopt(argc, argv, "m:r:s:n:w:")) != -1) {
		if (letter == 'm')
			fake.mode = optarg;
		else if (letter == 'r')
			fake.range = strtoull(optarg, NULL, 10);
		else if (letter == 's')
			fake.pause_ms = strtoull(optarg, NULL, 10);
		else if (letter == 'w')
			fake.wait_for = optarg;
		else if (letter == 'n')
			fake.left = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	check(ranq_resolve_server(NULL, &addr, NULL, &err) == 1 ? 0 : -1, &err, "server");
	struct ranq_session_options options = {
		.queue = optind < argc ? argv[optind] : "default",
		.create = true,
		.patience_ms = 30000,
		.interrupt_fd = -1,
	};
	/* its first attempt may meet a server that a test is about to restart */
	for (int64_t end = ranq_clock_ms() + 60000; !fake.session && ranq_clock_ms() < end;) {
		fake.session = ranq_session_open(&addr, &options, &err);
		if (!fake.session)
			usleep(50000);
	}
	check(fake.session ? 0 : -1, &err, "session");
	fake.big = malloc(1000000);
	join(&fake);
	serve(&fake);
	if (fake.job)
		ranq_arguments_close(&fake.arguments);
	free(fake.big);
	ranq_session_close(fake.session);
	ranq_server_addr_clear(&addr);
	return 0;
}
