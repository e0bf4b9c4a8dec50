/* scale_script.c - see scale_script.h. */
#include "common/scale_script.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/private_dir.h"
#include "common/spawn.h"
#include "scale/template.h"

static const char slurm_template[] =
	"#!/bin/bash\n"
	"#SBATCH --nodes=@nodes@\n"
	"@time_lines@\n"
	"#SBATCH --exclusive\n"
	"# outlives a dead node, comes back after a preemption; drains two minutes before the end\n"
	"#SBATCH --no-kill\n"
	"#SBATCH --requeue\n"
	"#SBATCH --open-mode=append\n"
	"#SBATCH --signal=B:USR1@120\n"
	"exec @join@\n";
static const char pbs_template[] = "#!/bin/bash\n"
				   "#PBS -l select=@nodes@:ncpus=@cpus@:mpiprocs=@cpus@\n"
				   "@time_lines@\n"
				   "#PBS -r y\n"
				   "cd \"${PBS_O_WORKDIR:-$HOME}\" || exit 2\n"
				   "exec @join@\n";
static const char local_template[] = "exec @join@\n";

static const char *template_of(const struct ranq_scale_script *script)
{
	if (script->template)
		return script->template;
	return strcmp(script->scheduler, "slurm") == 0 ? slurm_template
	       : strcmp(script->scheduler, "pbs") == 0 ? pbs_template
						       : local_template;
}

/* ---- values ---- */

static void write_time(char text[32], int64_t ms)
{
	int64_t s = (ms + 999) / 1000;
	snprintf(
		text, 32, "%02lld:%02lld:%02lld", (long long)(s / 3600), (long long)(s / 60 % 60), (long long)(s % 60));
}

static int64_t minutes_of(int64_t ms)
{
	return (ms + 59999) / 60000;
}

static void add_word(struct ranq_buf *out, const char *word)
{
	ranq_buf_add_byte(out, ' ');
	ranq_template_quote(out, word);
}

static void add_option(struct ranq_buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	add_word(out, name);
	add_word(out, value);
}

/* Batch systems start jobs with an environment of their own. */
static void add_environment(struct ranq_buf *out)
{
	static const char *const names[] = {"PATH", "LD_LIBRARY_PATH", "RANQ_PASSWORD_FILE", "XDG_CONFIG_HOME",
		"RANQ_BRIDGE", "RANQ_EXEC", "RANQ_MPIRUN"};
	ranq_buf_add_str(out, "env");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = getenv(names[i]);
		if (!value || !*value)
			continue;
		ranq_buf_printf(out, " %s=", names[i]);
		ranq_template_quote(out, value);
	}
}

static int make_join(
	const struct ranq_scale_script *script, const char *ranq, struct ranq_buf *out, struct ranq_err *err)
{
	char number[48];
	add_environment(out);
	add_word(out, ranq);
	add_word(out, "join");
	add_option(out, "--queue", script->queue);
	add_option(out, "--server", script->server);
	add_option(out, "--tags", script->tags);
	add_option(out, "--env-setup", script->env_setup);
	add_option(out, "--image", script->image);
	if (script->ranks) {
		snprintf(number, sizeof number, "%u", script->ranks);
		add_option(out, "--ranks", number);
	}
	if (script->idle_ms) {
		snprintf(number, sizeof number, "%lldms", (long long)script->idle_ms);
		add_option(out, "--idle-timeout", number);
	}
	if (strcmp(script->scheduler, "local") == 0) {
		snprintf(number, sizeof number, "%lldms", (long long)script->walltime_ms);
		add_option(out, "--walltime", number);
	}
	for (size_t i = 0; i < script->njoin; i++)
		add_word(out, script->join[i]);
	return ranq_buf_failed(out) ? ranq_err_set(err, RANQ_ERR_INPUT, "the options of join are too long") : 0;
}

static char *own_path(struct ranq_err *err)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	if (n <= 0) {
		ranq_err_sys(err, "cannot find the running program");
		return NULL;
	}
	path[n] = '\0';
	return strdup(path);
}

static void write_time_lines(const struct ranq_scale_script *script, char *text, size_t size)
{
	char most[32], least[32];
	int64_t least_ms = script->walltime_ms / 4 > 60000 ? script->walltime_ms / 4 : script->walltime_ms;
	write_time(most, script->walltime_ms);
	write_time(least, least_ms);
	if (strcmp(script->scheduler, "slurm") == 0 && script->fit)
		snprintf(text, size, "#SBATCH --time=%lld\n#SBATCH --time-min=%lld",
			(long long)minutes_of(script->walltime_ms), (long long)minutes_of(least_ms));
	else if (strcmp(script->scheduler, "slurm") == 0)
		snprintf(text, size, "#SBATCH --time=%lld", (long long)minutes_of(script->walltime_ms));
	else if (strcmp(script->scheduler, "pbs") == 0 && script->fit)
		snprintf(text, size, "#PBS -l min_walltime=%s,max_walltime=%s", least, most);
	else if (strcmp(script->scheduler, "pbs") == 0)
		snprintf(text, size, "#PBS -l walltime=%s", most);
	else
		snprintf(text, size, "# for %s", most);
}

int ranq_scale_script_fill(
	const struct ranq_scale_script *script, const char *token, struct ranq_buf *out, struct ranq_err *err)
{
	char nodes[16], cpus[16], all[24], walltime[32], minutes[24], time_lines[160];
	struct ranq_buf join;
	char *ranq = own_path(err);
	if (!ranq)
		return -1;
	ranq_buf_init(&join, RANQ_TEMPLATE_MAX);
	int rc = make_join(script, ranq, &join, err);
	snprintf(nodes, sizeof nodes, "%u", script->nodes);
	snprintf(cpus, sizeof cpus, "%u", script->cpus);
	snprintf(all, sizeof all, "%llu", (unsigned long long)script->cpus * script->nodes);
	snprintf(minutes, sizeof minutes, "%lld", (long long)minutes_of(script->walltime_ms));
	write_time(walltime, script->walltime_ms);
	write_time_lines(script, time_lines, sizeof time_lines);
	const struct ranq_template_value values[] = {{"join", ranq_buf_cstr(&join)}, {"nodes", nodes}, {"cpus", cpus},
		{"cpus_all", all}, {"walltime", walltime}, {"minutes", minutes}, {"time_lines", time_lines},
		{"queue", script->queue}, {"name", script->name}, {"token", token}, {"dir", script->dir},
		{"ranq", ranq}, {NULL}};
	if (rc == 0)
		rc = ranq_template_fill(template_of(script), values, out, err);
	ranq_buf_clear(&join);
	free(ranq);
	return rc;
}

/* ---- files ---- */

int ranq_scale_script_dir(struct ranq_scale_script *script, const char *given, struct ranq_err *err)
{
	char state[3900];
	if (given) {
		char *absolute = realpath(given, NULL);
		if (!absolute)
			return ranq_err_sys(err, "cannot use directory '%s'", given);
		snprintf(script->dir, sizeof script->dir, "%s", absolute);
		free(absolute);
	} else {
		if (ranq_private_state_dir(state, sizeof state, err))
			return -1;
		snprintf(script->dir, sizeof script->dir, "%s/scale", state);
	}
	if (mkdir(script->dir, 0700) < 0 && errno != EEXIST)
		return ranq_err_sys(err, "cannot make directory '%s'", script->dir);
	return 0;
}

static int write_file(const char *path, const struct ranq_buf *text, struct ranq_err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	if (fd < 0)
		return ranq_err_sys(err, "cannot make '%s'", path);
	ssize_t written = write(fd, text->data, text->len);
	if (close(fd) < 0 || written != (ssize_t)text->len)
		return ranq_err_sys(err, "cannot write '%s'", path);
	return 0;
}

static void discard(void *user, struct ranq_sched_request *request)
{
	(void)user;
	if (request->script)
		unlink(request->script);
	free((char *)(uintptr_t)request->script);
	free((char *)(uintptr_t)request->log);
	request->script = request->log = NULL;
}

static int make(void *user, const char *token, struct ranq_sched_request *request, struct ranq_err *err)
{
	struct ranq_scale_script *script = user;
	struct ranq_buf text;
	char *path = NULL, *log = NULL;
	ranq_buf_init(&text, 2 * RANQ_TEMPLATE_MAX);
	int rc = ranq_scale_script_fill(script, token, &text, err);
	if (rc == 0 && (asprintf(&path, "%s/%s.sh", script->dir, token) < 0 ||
			       asprintf(&log, "%s/%s.log", script->dir, token) < 0))
		rc = ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	request->script = path;
	request->log = log;
	request->options = script->options;
	request->noptions = script->noptions;
	if (rc == 0)
		rc = write_file(path, &text, err);
	ranq_buf_clear(&text);
	if (rc)
		discard(user, request);
	return rc;
}

struct ranq_scale_scripts ranq_scale_script_door(struct ranq_scale_script *script)
{
	return (struct ranq_scale_scripts){.make = make, .done = discard, .user = script};
}
