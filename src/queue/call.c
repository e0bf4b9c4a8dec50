/* Requests begin and replies are read here. A reply may be anything: nothing of it is used before its type and range
 * were checked. */
#include "queue/call.h"

#include <stdio.h>
#include <string.h>

void ranq_call_begin(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *function)
{
	char name[64], key[sizeof q->base + 1];

	ranq_cmd_reset(cmd);
	if (q->mode == RANQ_CALL_EVALSHA) {
		ranq_cmd_str(cmd, "EVALSHA");
		ranq_cmd_str(cmd, ranq_loader_sha(q, function));
	} else {
		snprintf(name, sizeof name, "ranq1_%s", function);
		ranq_cmd_str(cmd, "FCALL");
		ranq_cmd_str(cmd, name);
	}
	snprintf(key, sizeof key, "%sq", q->base);
	ranq_cmd_str(cmd, "1");
	ranq_cmd_str(cmd, key);
}

void ranq_call_u64(struct ranq_cmd *cmd, uint64_t value)
{
	ranq_cmd_int(cmd, (int64_t)value);
}

/* First word of an error reply, what it means here, and our words for it (NULL: the server's own). */
static const struct {
	const char *word;
	enum ranq_err_code code;
	const char *text;
} errors[] = {
	{"RANQ_GONE", RANQ_ERR_GONE, NULL},
	{"RANQ_NOTFOUND", RANQ_ERR_NOTFOUND, NULL},
	{"RANQ_NOQUEUE", RANQ_ERR_NOTFOUND, NULL},
	{"RANQ_AFTER", RANQ_ERR_NOTFOUND, NULL},
	{"RANQ_STATE", RANQ_ERR_STATE, NULL},
	{"RANQ_LEASE", RANQ_ERR_STATE, NULL},
	{"RANQ_EPOCH", RANQ_ERR_STATE, NULL},
	{"RANQ_SEQ", RANQ_ERR_STATE, NULL},
	{"RANQ_SCHEMA", RANQ_ERR_SCHEMA, NULL},
	{"RANQ_ARG", RANQ_ERR_INPUT, "the queue refused an argument"},
	{"RANQ_INPUT", RANQ_ERR_INPUT, NULL},
	{"RANQ_LOST", RANQ_ERR_INPUT, NULL},
	{"RANQ_BLOB", RANQ_ERR_INPUT, NULL},
	{"RANQ_APART", RANQ_ERR_SERVER, NULL},
	{"OOM", RANQ_ERR_FULL, "the server is out of memory (maxmemory); read or remove results, or raise it"},
	{"MISCONF", RANQ_ERR_FULL, "the server cannot write its disk and takes nothing new; make room there"},
	{"BUSY", RANQ_ERR_SERVER, "the server is busy with a long script"},
	{"LOADING", RANQ_ERR_SERVER, "the server is loading its data"},
	{"READONLY", RANQ_ERR_SERVER, "the server is a read-only replica"},
	{"MASTERDOWN", RANQ_ERR_SERVER, NULL},
	{"CLUSTERDOWN", RANQ_ERR_SERVER, NULL},
	{"TRYAGAIN", RANQ_ERR_SERVER, NULL},
	{"NOREPLICAS", RANQ_ERR_SERVER, "the server has too few replicas to take writes"},
	{"NOSCRIPT", RANQ_ERR_SERVER, "the server has forgotten the functions of ranq"},
	{"NOPERM", RANQ_ERR_AUTH, NULL},
	{"NOAUTH", RANQ_ERR_AUTH, NULL},
	{"WRONGPASS", RANQ_ERR_AUTH, NULL},
	{"WRONGTYPE", RANQ_ERR_REPLY, "a key of the queue was changed by somebody else"},
};

static int say(struct ranq_err *err, enum ranq_err_code code, const char *text, size_t len)
{
	return ranq_err_set(err, code, "%.*s", (int)(len < 300 ? len : 300), text);
}

/* Before 7.0 an error inside of a script comes as "ERR Error running script (...): ... WORD text". */
static const char *wrapped(struct ranq_bytes b, size_t *len)
{
	static const char *const words[] = {"OOM command", "MISCONF ", "READONLY ", "NOPERM ", "WRONGTYPE "};

	for (size_t i = 0; i < sizeof words / sizeof *words && b.len > 4 && !memcmp(b.data, "ERR ", 4); i++) {
		const char *at = memmem(b.data, b.len, words[i], strlen(words[i]));

		if (at) {
			*len = b.len - (size_t)(at - (const char *)b.data);
			return at;
		}
	}
	*len = b.len;
	return b.data;
}

int ranq_call_error(const struct ranq_reply *r, struct ranq_err *err)
{
	struct ranq_bytes b;
	const char *space;
	size_t word;

	if (!r)
		return ranq_err_set(err, RANQ_ERR_UNKNOWN, "the connection was lost before the reply");
	if (ranq_reply_type(r) != RANQ_REPLY_ERROR)
		return ranq_call_malformed(err);
	if (ranq_queue_reply_is_noscript(r))
		return ranq_err_set(err, RANQ_ERR_SERVER, "the server has forgotten the functions of ranq");
	b = ranq_reply_bytes(r);
	b.data = wrapped(b, &b.len);
	space = memchr(b.data, ' ', b.len);
	word = space ? (size_t)(space - (const char *)b.data) : b.len;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		if (strlen(errors[i].word) != word || memcmp(errors[i].word, b.data, word))
			continue;
		if (errors[i].text)
			return ranq_err_set(err, errors[i].code, "%s", errors[i].text);
		return space ? say(err, errors[i].code, space + 1, b.len - word - 1)
			     : say(err, errors[i].code, b.data, b.len);
	}
	return say(err, RANQ_ERR_REPLY, b.data, b.len);
}

int ranq_call_malformed(struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_REPLY, "the server sent what does not belong to the protocol");
}

int ranq_call_array(const struct ranq_reply *r, size_t least, struct ranq_err *err)
{
	if (!r || ranq_reply_type(r) != RANQ_REPLY_ARRAY || ranq_reply_count(r) < least)
		return ranq_call_error(r, err);
	return 0;
}

int ranq_call_number(const struct ranq_reply *r, uint64_t *value, struct ranq_err *err)
{
	if (!r || ranq_reply_type(r) != RANQ_REPLY_INT)
		return ranq_call_error(r, err);
	if (ranq_reply_int(r) < 0)
		return ranq_call_malformed(err);
	*value = (uint64_t)ranq_reply_int(r);
	return 0;
}

static const struct ranq_reply *next(struct ranq_call_reader *in)
{
	const struct ranq_reply *r = in->failed ? NULL : ranq_reply_at(in->array, in->next);

	in->next++;
	if (!r)
		in->failed = true;
	return r;
}

/* Strings come where Lua has a decimal text, e.g. for negative numbers. */
static bool is_number(const struct ranq_reply *r)
{
	struct ranq_bytes b = ranq_reply_bytes(r);
	const char *text = b.data;
	size_t i = b.len && text[0] == '-';

	if (ranq_reply_type(r) == RANQ_REPLY_INT)
		return true;
	if (ranq_reply_type(r) != RANQ_REPLY_STRING || i == b.len || b.len > 19)
		return false;
	while (i < b.len && text[i] >= '0' && text[i] <= '9')
		i++;
	return i == b.len;
}

int64_t ranq_call_next_signed(struct ranq_call_reader *in)
{
	const struct ranq_reply *r = next(in);

	if (r && !is_number(r))
		in->failed = true;
	return in->failed ? 0 : ranq_reply_int(r);
}

uint64_t ranq_call_next(struct ranq_call_reader *in)
{
	int64_t value = ranq_call_next_signed(in);

	if (value < 0)
		in->failed = true;
	return in->failed ? 0 : (uint64_t)value;
}

bool ranq_call_next_flag(struct ranq_call_reader *in)
{
	return ranq_call_next(in) == 1;
}

struct ranq_bytes ranq_call_next_bytes(struct ranq_call_reader *in)
{
	const struct ranq_reply *r = next(in);

	if (r && ranq_reply_type(r) != RANQ_REPLY_STRING)
		in->failed = true;
	return in->failed ? (struct ranq_bytes){"", 0} : ranq_reply_bytes(r);
}

void ranq_call_next_text(struct ranq_call_reader *in, char *text, size_t size)
{
	struct ranq_bytes b = ranq_call_next_bytes(in);
	size_t len = b.len < size ? b.len : size - 1;

	memcpy(text, b.data, len);
	text[len] = '\0';
}

enum ranq_job_state ranq_call_next_state(struct ranq_call_reader *in)
{
	struct ranq_bytes b = ranq_call_next_bytes(in);

	for (int s = 0; s < RANQ_JOB_STATE_COUNT && !in->failed; s++) {
		const char *name = ranq_job_state_name((enum ranq_job_state)s);

		if (strlen(name) == b.len && !memcmp(name, b.data, b.len))
			return (enum ranq_job_state)s;
	}
	in->failed = true;
	return RANQ_JOB_ERROR;
}
