/* Bodies that behave well and badly, for the tests of executors. */
#include <fcntl.h>
#include <math.h>
#include <ranq.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int index8(struct ranq_task *task);
int twice(struct ranq_task *task);
int crash3(struct ranq_task *task);
int exit3(struct ranq_task *task);
int abort_first(struct ranq_task *task);
int overflow3(struct ranq_task *task);
int spin3(struct ranq_task *task);
int spin3_polite(struct ranq_task *task);
int fail_odd(struct ranq_task *task);
int fail_first(struct ranq_task *task);
int noisy(struct ranq_task *task);
int flood_log(struct ranq_task *task);
int draw(struct ranq_task *task);
int big(struct ranq_task *task);
int sum_data(struct ranq_task *task);
int process(struct ranq_task *task);
int tool(struct ranq_task *task);
int stray(struct ranq_task *task);
int wait_stop(struct ranq_task *task);
int touch_and_spin3(struct ranq_task *task);
int count_in_file(struct ranq_task *task);
int environment(struct ranq_task *task);
int touch_and_spin(struct ranq_task *task);
int vandal_socket(struct ranq_task *task);
int vandal_page(struct ranq_task *task);
int close_all(struct ranq_task *task);
int write_standard(struct ranq_task *task);
int leave_traces(struct ranq_task *task);

int index8(struct ranq_task *task)
{
	return ranq_task_return_int64(task, (int64_t)ranq_task_index(task));
}

int twice(struct ranq_task *task)
{
	return ranq_task_return_double(task, 2 * atof(ranq_task_arg(task, NULL)));
}

int crash3(struct ranq_task *task)
{
	if (ranq_task_index(task) == 3)
		raise(SIGSEGV);
	return index8(task);
}

int exit3(struct ranq_task *task)
{
	if (ranq_task_index(task) == 3)
		_exit(0);
	return index8(task);
}

int abort_first(struct ranq_task *task)
{
	if (ranq_task_attempt(task) == 1 && ranq_task_index(task) % 5 == 2)
		kill(getpid(), SIGKILL);
	return ranq_task_return_int64(task, (int64_t)ranq_task_attempt(task));
}

static volatile unsigned depth;

__attribute__((noinline)) static unsigned recurse(volatile char *before)
{
	volatile char room[4096];

	room[0] = before ? before[0] : 1;
	depth++;
	return depth ? recurse(room) + (unsigned)room[0] : 0;
}

int overflow3(struct ranq_task *task)
{
	if (ranq_task_index(task) == 3)
		return (int)recurse(NULL);
	return index8(task);
}

int spin3(struct ranq_task *task)
{
	volatile int on = 1;

	while (ranq_task_index(task) == 3 && on)
		;
	return index8(task);
}

int spin3_polite(struct ranq_task *task)
{
	while (ranq_task_index(task) == 3 && !ranq_task_cancelled(task))
		usleep(1000);
	return index8(task);
}

int fail_odd(struct ranq_task *task)
{
	if (ranq_task_index(task) % 2) {
		fprintf(stderr, "complaint of %d\n", (int)ranq_task_index(task));
		return ranq_task_fail(task, "an odd one");
	}
	return index8(task);
}

int fail_first(struct ranq_task *task)
{
	if (ranq_task_attempt(task) < 3)
		return 9;
	return ranq_task_return_int64(task, (int64_t)ranq_task_attempt(task));
}

int noisy(struct ranq_task *task)
{
	printf("out of %d\n", (int)ranq_task_index(task));
	fprintf(stderr, "err of %d\n", (int)ranq_task_index(task));
	return ranq_task_index(task) % 10 == 9 ? 4 : index8(task);
}

int flood_log(struct ranq_task *task)
{
	char line[1024];
	int i;

	memset(line, 'x', sizeof line);
	for (i = 0; i < 20000; i++)
		fwrite(line, 1, sizeof line, stderr);
	return ranq_task_fail(task, "flooded");
}

int draw(struct ranq_task *task)
{
	double x[2];

	x[0] = ranq_task_unif(task);
	x[1] = ranq_task_norm(task);
	return ranq_task_return_doubles(task, x, 2);
}

int big(struct ranq_task *task)
{
	size_t n = strtoul(ranq_task_arg(task, NULL), NULL, 10);
	char *bytes = ranq_task_scratch(task, n);

	memset(bytes, 'b', n);
	ranq_task_return(task, bytes, n);
	return 0;
}

int sum_data(struct ranq_task *task)
{
	size_t len, i;
	const unsigned char *data = ranq_task_data(task, &len);
	int64_t sum = 0;

	for (i = 0; i < len; i++)
		sum += data[i];
	return ranq_task_return_int64(task, sum);
}

int process(struct ranq_task *task)
{
	return ranq_task_return_int64(task, getpid());
}

int tool(struct ranq_task *task)
{
	char text[64] = "";
	FILE *pipe = popen("echo from a shell", "r");

	if (!pipe || !fgets(text, sizeof text, pipe))
		return 1;
	pclose(pipe);
	return ranq_task_return_string(task, text);
}

/* Leaves a process behind that holds everything open, then dies. */
int stray(struct ranq_task *task)
{
	if (ranq_task_index(task) == 3) {
		if (!fork()) {
			setsid();
			for (;;)
				pause();
		}
		raise(SIGKILL);
	}
	return index8(task);
}

int wait_stop(struct ranq_task *task)
{
	const char *path = ranq_task_arg(task, NULL);
	FILE *file = fopen(path, "w");

	if (file)
		fclose(file);
	while (!ranq_task_cancelled(task))
		usleep(1000);
	return 5;
}

int touch_and_spin(struct ranq_task *task)
{
	volatile int on = 1;
	FILE *file = fopen(ranq_task_arg(task, NULL), "w");

	if (file)
		fclose(file);
	while (on)
		;
	return 0;
}

int touch_and_spin3(struct ranq_task *task)
{
	volatile int on = 1;
	FILE *file = ranq_task_index(task) == 3 ? fopen(getenv("FLAG"), "w") : NULL;

	if (!file)
		return index8(task);
	fclose(file);
	while (on)
		;
	return 0;
}

/* Byte i of the file is how often task i was begun. Each third task takes a while. */
int count_in_file(struct ranq_task *task)
{
	off_t at = (off_t)ranq_task_index(task);
	unsigned char begun = 0;
	int fd = open(getenv("FLAG"), O_RDWR | O_CREAT, 0600);

	if (fd < 0 || pread(fd, &begun, 1, at) < 0)
		return 1;
	begun++;
	if (pwrite(fd, &begun, 1, at) != 1 || close(fd) < 0)
		return 1;
	if (ranq_task_index(task) % 3 == 2)
		usleep(20000);
	return index8(task);
}

int environment(struct ranq_task *task)
{
	char text[256];

	snprintf(text, sizeof text, "%s %s %s %s", getenv("RANQ_JOB"), getenv("RANQ_QUEUE"),
		getenv("MINE") ? getenv("MINE") : "-", getenv("OMP_NUM_THREADS") ? getenv("OMP_NUM_THREADS") : "-");
	return ranq_task_return_string(task, text);
}

/* Writes rubbish to whatever is open: the executor's protocol too. */
int vandal_socket(struct ranq_task *task)
{
	unsigned char rubbish[512];
	size_t i;
	int fd;

	for (i = 0; i < sizeof rubbish; i++)
		rubbish[i] = (unsigned char)(i * 37 + ranq_task_index(task));
	rubbish[0] = 6; /* looks like results */
	rubbish[1] = rubbish[2] = rubbish[3] = 0;
	rubbish[4] = (unsigned char)(ranq_task_index(task) * 20);
	rubbish[5] = rubbish[6] = rubbish[7] = 0;
	for (fd = 3; ranq_task_index(task) == 3 && fd < 20; fd++)
		if (write(fd, rubbish, sizeof rubbish) < 0)
			continue;
	return index8(task);
}

/* Fills the shared page, then dies. */
int vandal_page(struct ranq_task *task)
{
	char line[512];
	unsigned long from, to;
	FILE *maps;

	if (ranq_task_index(task) != 3)
		return index8(task);
	maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof line, maps))
		if (strstr(line, "ranq-progress") && sscanf(line, "%lx-%lx", &from, &to) == 2)
			memset((void *)from, (int)ranq_task_attempt(task) * 0x33, to - from);
	raise(SIGKILL);
	return 0;
}

int close_all(struct ranq_task *task)
{
	int fd;

	for (fd = 0; ranq_task_index(task) == 3 && fd < 100; fd++)
		close(fd);
	return index8(task);
}

int write_standard(struct ranq_task *task)
{
	if (write(1, "1", 1) != 1 || write(2, "2", 1) != 1 || read(0, &(char){0}, 1) != 0)
		return 1;
	return index8(task);
}

/* Of seven tasks each leaves something that the next ones must not see, between tasks that leave nothing. */
int leave_traces(struct ranq_task *task)
{
	static const char large[4096];

	switch (ranq_task_index(task) % 7) {
	case 1: ranq_task_fail(task, "not meant"); return index8(task);
	case 2: return 3;
	case 3: ranq_task_return(task, large, sizeof large); return 0; /* too large */
	case 4: return 0;
	case 5: return ranq_task_return(task, large, 2000);
	case 6: return ranq_task_return_double(task, ranq_task_unif(task));
	default: return index8(task);
	}
}

RANQ_MODULE;
