/* progress.c - see progress.h. */
#include "client/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/ranq.h"
#include "util/clock.h"

#define DRAW_MS 250
#define SAMPLE_MS 500
#define BAR_WIDTH 24

void ranq_progress_init(struct ranq_progress_bar *bar)
{
	const char *term = getenv("TERM");
	memset(bar, 0, sizeof *bar);
	bar->on = isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
	bar->rate = -1;
}

bool ranq_progress_due(const struct ranq_progress_bar *bar)
{
	return bar->on && ranq_clock_ms() - bar->drawn_ms >= DRAW_MS;
}

void ranq_progress_sample(struct ranq_progress_bar *bar, const struct ranq_job_info *info)
{
	int64_t now = ranq_clock_ms(), elapsed = now - bar->sample_ms;
	if (bar->sample_ms && elapsed < SAMPLE_MS)
		return;
	if (bar->sample_ms && info->done >= bar->sample_done) {
		double rate = (double)(info->done - bar->sample_done) * 1000 / (double)elapsed;
		bar->rate = bar->rate < 0 ? rate : 0.7 * bar->rate + 0.3 * rate;
	}
	bar->sample_ms = now;
	bar->sample_done = info->done;
}

/* < 0: not known. */
static double eta(const struct ranq_progress_bar *bar, const struct ranq_job_info *info)
{
	if (bar->rate <= 0 || info->open || info->done >= info->tasks)
		return -1;
	return (double)(info->tasks - info->done) / bar->rate;
}

void ranq_progress_fill(
	const struct ranq_progress_bar *bar, const struct ranq_job_info *info, struct ranq_progress *progress)
{
	progress->tasks = info->tasks;
	progress->done = info->done;
	progress->failed = info->done >= info->counts[RANQ_TASK_OK] ? info->done - info->counts[RANQ_TASK_OK] : 0;
	progress->workers = info->workers;
	progress->held = info->held;
	progress->open = info->open;
	progress->state = ranq_job_state_name(info->state);
	progress->rate = bar->rate;
	progress->eta_s = eta(bar, info);
}

static void rate_text(double rate, char text[48])
{
	char count[32];
	if (rate >= 10)
		snprintf(text, 48, "%s/s", ranq_count_text((uint64_t)rate, count));
	else if (rate >= 0)
		snprintf(text, 48, "%.2g/s", rate);
	else
		snprintf(text, 48, "-/s");
}

static void eta_text(const struct ranq_progress_bar *bar, const struct ranq_job_info *info, char text[48])
{
	char duration[32];
	double left = eta(bar, info);
	text[0] = 0;
	if (left >= 0 && left < 1e9)
		snprintf(text, 48, "  ETA %s", ranq_duration_format((int64_t)(left < 1 ? 1 : left) * 1000, duration));
}

void ranq_progress_line(
	const struct ranq_progress_bar *bar, const struct ranq_job_info *info, unsigned width, char *text, size_t size)
{
	char graph[BAR_WIDTH + 1], done[32], tasks[32], rate[48], left[48], failed[64] = "";
	double part = info->tasks ? (double)info->done / (double)info->tasks : 0;
	int filled = (int)(part * BAR_WIDTH);
	for (int i = 0; i < BAR_WIDTH; i++)
		graph[i] = i < filled ? '#' : '.';
	graph[BAR_WIDTH] = 0;
	rate_text(bar->rate, rate);
	eta_text(bar, info, left);
	uint64_t bad = info->done - info->counts[RANQ_TASK_OK];
	if (bad && info->done >= info->counts[RANQ_TASK_OK])
		snprintf(failed, sizeof failed, "  failed %llu", (unsigned long long)bad);
	int n = snprintf(text, size, "[%s] %3d%%  %s/%s%s  %s%s  workers %u%s%s", graph, (int)(part * 100),
		ranq_count_text(info->done, done), ranq_count_text(info->tasks, tasks), info->open ? "+" : "", rate,
		left, info->workers, failed, info->held ? "  held" : "");
	if (n > 0 && (unsigned)n >= width && width < size)
		text[width ? width - 1 : 0] = 0;
}

static unsigned terminal_width(void)
{
	struct winsize size;
	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

void ranq_progress_show(struct ranq_progress_bar *bar, const struct ranq_job_info *info)
{
	char text[512];
	ranq_progress_sample(bar, info);
	if (!ranq_progress_due(bar))
		return;
	ranq_progress_line(bar, info, terminal_width(), text, sizeof text);
	fprintf(stderr, "\r%s\033[K", text);
	fflush(stderr);
	bar->drawn = true;
	bar->drawn_ms = ranq_clock_ms();
}

void ranq_progress_hide(struct ranq_progress_bar *bar)
{
	if (!bar->drawn)
		return;
	fprintf(stderr, "\r\033[K");
	fflush(stderr);
	bar->drawn = false;
	bar->drawn_ms = 0;
}
