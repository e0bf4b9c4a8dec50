/* cli.h - what the subcommands of `ranq` share: common options, sessions, messages, job ids, interrupts. */
#ifndef RANQ_COMMON_CLI_H
#define RANQ_COMMON_CLI_H

#include "client/session.h"
#include "common/options.h"

/* The common options: put `struct ranq_cli_common common` into the command's struct and
 * { "common options", ranq_cli_common_options, offsetof(struct x, common) } at the end of its groups. */
struct ranq_cli_common {
	const char *server, *queue;
	bool json;
};
extern const struct ranq_option ranq_cli_common_options[]; /* --server --queue --json --help */
extern const struct ranq_option ranq_cli_server_options[]; /* --server --queue --help: of commands that print no JSON */

/* Prints "ranq NAME: text" on stderr; returns the exit status of the code. */
int ranq_cli_fail(const struct ranq_command *command, const struct ranq_err *err);
/* Chatter: "ranq NAME: text" on stderr. */
void ranq_cli_say(const struct ranq_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Opens the queue named by options, environment and config. create: the queue may be made (submit). lease_ms 0: as the queue has it. */
struct ranq_session *ranq_cli_open(const struct ranq_cli_common *common, bool create, int64_t lease_ms, struct ranq_err *err);
/* "7", "QUEUE/7", "last" -> number; a queue named in the id is used instead of the common one (the session is opened for it). */
struct ranq_session *ranq_cli_open_job(const struct ranq_cli_common *common, const char *id, uint64_t *job, struct ranq_err *err);
/* "QUEUE/7" of a job of this session; valid until the next call. */
const char *ranq_cli_job_text(const struct ranq_session *session, uint64_t job);

/* From now on SIGINT, SIGTERM and SIGHUP make the descriptor readable instead of ending the program. Once per process. */
int ranq_cli_catch_signals(struct ranq_err *err);
bool ranq_cli_interrupted(void);
/* flush and close stdout; -1 when something could not be written (disk full, closed pipe). */
int ranq_cli_close_stdout(struct ranq_err *err);

#endif
