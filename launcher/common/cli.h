/* cli.h - what the subcommands of `ranq` share: common options, sessions, messages, job ids, interrupts. */
#ifndef RANQ_COMMON_CLI_H
#define RANQ_COMMON_CLI_H

#include "client/resolve.h"
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

/* Standard output cannot be written. A reader that has seen enough (`| head`) is no failure worth a message: from then
 * on ranq_cli_fail is silent and gives the status of a program that SIGPIPE ended. */
void ranq_cli_note_write_error(int error);
/* Prints "ranq NAME: text" on stderr; returns the exit status of the code. */
int ranq_cli_fail(const struct ranq_command *command, const struct ranq_err *err);
/* Chatter: "ranq NAME: text" on stderr. */
void ranq_cli_say(const struct ranq_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Opens the queue named by options, environment and config. create: the queue may be made (submit). lease_ms 0: as the
 * queue has it. */
struct ranq_session *ranq_cli_open(
	const struct ranq_cli_common *common, bool create, int64_t lease_ms, struct ranq_err *err);
/* "7", "QUEUE/7", "last" -> number; a queue named in the id is used instead of the common one (the session is opened
 * for it). */
struct ranq_session *ranq_cli_open_job(
	const struct ranq_cli_common *common, const char *id, uint64_t *job, struct ranq_err *err);
/* "QUEUE/7" of a job of the opened queue; valid until the next call. */
const char *ranq_cli_job_text(const struct ranq_session *session, uint64_t job);

/* The same for a server and queue that are known already; origin: who named the server (for the cure in the message).
 */
struct ranq_session *ranq_cli_open_at(const struct ranq_server_addr *addr, enum ranq_origin origin, const char *queue,
	bool create, int64_t lease_ms, struct ranq_err *err);
/* For commands that take several job ids: act on each; failures are told one by one. Returns the highest exit status.
 * act sets *err (code not OK) to have it told, or returns a status. */
typedef int ranq_cli_job_fn(void *user, struct ranq_session *session, uint64_t job, struct ranq_err *err);
int ranq_cli_each_job(const struct ranq_command *command, const struct ranq_cli_common *common,
	const struct ranq_operands *operands, ranq_cli_job_fn *act, void *user);

/* The whole run of a command that has no options but the common ones, at the start of its struct, and prints. */
typedef int ranq_cli_list_fn(struct ranq_session *session, bool as_json, struct ranq_err *err);
int ranq_cli_list(const struct ranq_command *command, int argc, char **argv, ranq_cli_list_fn *list);

/* From now on SIGINT, SIGTERM and SIGHUP make the descriptor readable instead of ending the program. Once per process.
 */
int ranq_cli_catch_signals(struct ranq_err *err);
bool ranq_cli_interrupted(void);
/* The interrupt was understood: sessions may wait again (to cancel the job). A second signal ends the program. */
void ranq_cli_interrupt_handled(void);
/* Flushes stdout; -1 when something could not be written (disk full, closed pipe). */
int ranq_cli_close_stdout(struct ranq_err *err);

#endif
