/* main.c - `ranq COMMAND ...`: finds the command, helps when there is none. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/commands.h"
#include "util/nearest.h"

static const struct ranq_command *const commands[] = {
#define X(name) &ranq_command_##name,
	RANQ_COMMANDS(X)
#undef X
};
#define NCOMMANDS (sizeof commands / sizeof *commands)

static const struct ranq_command *find(const char *name)
{
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int unknown(const char *name)
{
	const char *names[NCOMMANDS];
	for (size_t i = 0; i < NCOMMANDS; i++)
		names[i] = commands[i]->name;
	const char *near = ranq_nearest(name, names, NCOMMANDS);
	if (near)
		fprintf(stderr, "ranq: unknown command '%.100s'; did you mean '%s'?\n", name, near);
	else
		fprintf(stderr, "ranq: unknown command '%.100s'; see 'ranq help'\n", name);
	return 2;
}

static void overview(FILE *out)
{
	fputs("usage: ranq COMMAND [OPTION]... [ARGUMENT]...\n\n"
	      "MPI ranks fed by a Redis queue: an elastic batch launcher.\n\ncommands:\n",
		out);
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fputs("  help       show this, or the help of a command\n\n"
	      "First steps:\n"
	      "  ranq run -- echo {} ::: a b c        run three tasks here, with a private server\n"
	      "  ranq server start; ranq join &       a server of your own, and workers for it\n"
	      "  ranq submit --range 1-1000 -- ./simulate {}\n"
	      "  ranq results last --follow\n\n"
	      "Exit status: 0 all tasks succeeded; 1 some failed, or the job was cancelled; 2 wrong usage or input;\n"
	      "3 server or scheduler out of reach; 4 no such job, queue or worker; 5 not finished; 130 interrupted.\n",
		out);
}

static int help(int argc, char **argv)
{
	if (argc < 2) {
		overview(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--dump-tables") == 0) {
		for (size_t i = 0; i < NCOMMANDS; i++)
			ranq_options_dump(commands[i], stdout);
		return 0;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs("usage: ranq help [COMMAND]\n\nshow all commands, or the help of one\n", stdout);
		return 0;
	}
	const struct ranq_command *command = find(argv[1]);
	if (!command)
		return unknown(argv[1]);
	ranq_options_help(command, stdout);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, so that what must be torn down is torn down */
	if (argc < 2) {
		overview(stderr);
		return 2;
	}
	const char *name = argv[1];
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("ranq %s\n", RANQ_VERSION);
		return 0;
	}
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help(argc - 1, argv + 1);
	const struct ranq_command *command = find(name);
	return command ? command->run(command, argc - 1, argv + 1) : unknown(name);
}
