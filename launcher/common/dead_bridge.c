#include "common/dead_bridge.h"

#include <string.h>

#include "client/remove.h"
#include "client/session.h"
#include "common/config.h"
#include "queue/queue.h"
#include "util/clock.h"

#define PATIENCE_MS 3000 /* a bridge is waiting to be started again */
#define TIDY_MS 5000

static size_t blamed_of(const struct ranq_black_box *box, const char *queue, struct ranq_task_name *blamed)
{
	size_t n = 0;

	for (size_t i = 0; i < box->ntasks; i++)
		if (!strcmp(box->tasks[i].queue, queue))
			blamed[n++] = (struct ranq_task_name){.job = box->tasks[i].job, .index = box->tasks[i].index};
	return n;
}

static int call(struct ranq_session *session, const char *id, const struct ranq_task_name *blamed, size_t n,
	struct ranq_err *err)
{
	bool more = true;

	while (more) {
		struct ranq_reply *reply = NULL;
		struct ranq_cmd cmd;
		int rc;

		ranq_cmd_init(&cmd);
		rc = ranq_queue_dead_cmd(&session->queue, &cmd, id, blamed, n);
		if (rc == 0)
			rc = ranq_session_call(session, &cmd, ranq_clock_ms() + PATIENCE_MS, &reply, err);
		if (rc == 0)
			rc = ranq_queue_leave_parse(reply, &more, err);
		ranq_reply_destroy(reply);
		ranq_cmd_clear(&cmd);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static int report_one(const struct ranq_server_addr *addr, const char *queue, const char *id,
	const struct ranq_task_name *blamed, size_t n, struct ranq_err *err)
{
	struct ranq_session_options options = {
		.queue = queue, .patience_ms = PATIENCE_MS, .connect_ms = PATIENCE_MS, .interrupt_fd = -1};
	struct ranq_session *session = ranq_session_open(addr, &options, err);
	int rc = session ? call(session, id, blamed, n, err) : -1;

	ranq_session_close(session);
	return rc;
}

int ranq_dead_bridge_report(const struct ranq_black_box *box, const char *server, bool blame, struct ranq_err *err)
{
	struct ranq_task_name blamed[RANQ_BLACK_BOX_MAX];
	struct ranq_server_addr addr;
	int named = 0, rc = 0;

	if (box->nbridges == 0)
		return 0;
	if (ranq_config_server(server, &addr, err) != 0)
		return -1;
	for (size_t i = 0; i < box->nbridges; i++) {
		const char *queue = box->bridges[i].queue;
		size_t n = blame ? blamed_of(box, queue, blamed) : 0;

		if (report_one(&addr, queue, box->bridges[i].id, blamed, n, err) != 0)
			rc = -1;
		named += (int)n;
	}
	ranq_server_addr_clear(&addr);
	return rc ? rc : named;
}

/* Jobs that expired while the bridge was there may have left files that are seen here and not where jobs are submitted. */
void ranq_dead_bridge_tidy(const struct ranq_black_box *box, const char *server)
{
	struct ranq_server_addr addr;

	if (box->nbridges == 0 || ranq_config_server(server, &addr, NULL) != 0)
		return;
	for (size_t i = 0; i < box->nbridges; i++) {
		struct ranq_session_options options = {.queue = box->bridges[i].queue, .patience_ms = TIDY_MS,
			.connect_ms = TIDY_MS, .interrupt_fd = -1};
		struct ranq_session *session = ranq_session_open(&addr, &options, NULL);

		if (session)
			ranq_files_sweep(session, TIDY_MS);
		ranq_session_close(session);
	}
	ranq_server_addr_clear(&addr);
}
