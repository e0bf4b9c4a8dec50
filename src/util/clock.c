#include "util/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id, int64_t per_second)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * per_second + now.tv_nsec / (1000000000 / per_second);
}

int64_t ranq_clock_ms(void)
{
	return read_clock(CLOCK_MONOTONIC, 1000);
}

int64_t ranq_clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC, 1000000000);
}

int64_t ranq_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME, 1000);
}

/* A non-negative decimal number without sign, blanks, hex or exponent; *end behind it. */
static int scan_number(const char *text, double *value, const char **end)
{
	size_t n = strspn(text, "0123456789");
	size_t m = text[n] == '.' ? 1 + strspn(text + n + 1, "0123456789") : 0;
	char digits[40];

	if (n + m == 0 || (m == 1 && n == 0) || n + m >= sizeof digits)
		return -1;
	memcpy(digits, text, n + m);
	digits[n + m] = '\0';
	*value = strtod(digits, NULL);
	*end = text + n + m;
	return 0;
}

static double duration_unit(const char **at)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"ms", 1}, {"s", 1e3}, {"min", 60e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
	size_t i, n;

	for (i = 0; i < sizeof units / sizeof *units; i++) {
		n = strlen(units[i].name);
		if (!strncmp(*at, units[i].name, n) && !isalpha((unsigned char)(*at)[n])) {
			*at += n;
			return units[i].ms;
		}
	}
	return 0;
}

/* "1h30m", "1.5s", "90" */
static int parse_units(const char *text, double *ms)
{
	const char *at = text;
	double value, unit;

	*ms = 0;
	do {
		if (scan_number(at, &value, &at))
			return -1;
		if (!*at && strspn(text, "0123456789.") == strlen(text)) {
			*ms = value * 1e3;
			return 0;
		}
		unit = duration_unit(&at);
		if (unit == 0)
			return -1;
		*ms += value * unit;
	} while (*at);
	return 0;
}

/* Slurm: MM:SS, HH:MM:SS, D-HH, D-HH:MM, D-HH:MM:SS */
static int parse_slurm(const char *text, double *ms)
{
	unsigned days = 0, part[3] = {0}, n = 0;
	const char *at = text, *dash = strchr(text, '-');
	char *end;

	if (strspn(text, "0123456789:-") != strlen(text))
		return -1;
	if (dash) {
		if (dash == text || dash - text > 6)
			return -1;
		days = (unsigned)strtoul(text, &end, 10);
		at = dash + 1;
	}
	for (;; at = end + 1) {
		if (n == 3 || !isdigit((unsigned char)*at) || strspn(at, "0123456789") > 6)
			return -1;
		part[n++] = (unsigned)strtoul(at, &end, 10);
		if (!*end)
			break;
		if (*end != ':')
			return -1;
	}
	if (dash)
		*ms = (days * 86400.0 + part[0] * 3600.0 + part[1] * 60.0 + part[2]) * 1e3;
	else if (n == 3)
		*ms = (part[0] * 3600.0 + part[1] * 60.0 + part[2]) * 1e3;
	else
		*ms = (part[0] * 60.0 + part[1]) * 1e3;
	return n == 1 && !dash ? -1 : 0;
}

int ranq_duration_parse(const char *text, int64_t *ms, struct ranq_err *err)
{
	double value;
	int failed = strpbrk(text, ":-") ? parse_slurm(text, &value) : parse_units(text, &value);

	if (failed || value > 1e15)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"'%.40s' is not a duration; write 90, 90s, 5m, 2h, 1d or 1-12:00:00", text);
	*ms = (int64_t)(value + 0.5);
	return 0;
}

const char *ranq_duration_format(int64_t ms, char text[32])
{
	long long s = ms / 1000;

	if (ms < 0)
		snprintf(text, 32, "-");
	else if (ms < 1000)
		snprintf(text, 32, "%lld ms", (long long)ms);
	else if (s < 60)
		snprintf(text, 32, "%.1f s", (double)ms / 1e3);
	else if (s < 3600)
		snprintf(text, 32, "%lld min %lld s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, 32, "%lld h %lld min", s / 3600, s / 60 % 60);
	else
		snprintf(text, 32, "%lld d %lld h", s / 86400, s / 3600 % 24);
	return text;
}

int ranq_size_parse(const char *text, uint64_t *bytes, struct ranq_err *err)
{
	static const char letters[] = "kmgtp";
	double value, base = 1000, factor = 1;
	const char *at, *letter;

	if (scan_number(text, &value, &at))
		goto bad;
	letter = *at ? strchr(letters, tolower((unsigned char)*at)) : NULL;
	if (letter) {
		at++;
		if (*at == 'i') {
			base = 1024;
			at++;
		}
		for (; letter >= letters; letter--)
			factor *= base;
	}
	if (*at == 'B' || *at == 'b')
		at++;
	if (*at || value * factor > 9e18)
		goto bad;
	*bytes = (uint64_t)(value * factor + 0.5);
	return 0;
bad:
	return ranq_err_set(err, RANQ_ERR_INPUT, "'%.40s' is not a size; write 1000, 64k, 64MB or 64MiB", text);
}

const char *ranq_size_format(uint64_t bytes, char text[32])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	double value = (double)bytes;
	size_t i = 0;

	while (value >= 999.5 && i + 1 < sizeof units / sizeof *units) {
		value /= 1000;
		i++;
	}
	snprintf(text, 32, i && value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[i]);
	return text;
}

const char *ranq_count_text(uint64_t n, char text[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), to = 0;
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			text[to++] = ',';
		text[to++] = digits[i];
	}
	text[to] = 0;
	return text;
}
