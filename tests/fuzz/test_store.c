/* Random damage to replies, URLs and INFO. The same input in other pieces must mean the same; nothing may crash or show
 * a password.
 *
 * Runs as a test over seeded mutations of a corpus (RANQ_FUZZ_ROUNDS, default 20000; RANQ_FUZZ_SEED), or in libFuzzer:
 * clang -fsanitize=fuzzer,address,undefined -DRANQ_LIBFUZZER -D_GNU_SOURCE -Isrc tests/fuzz/test_store.c
 * src/store/(all).c src/util/(err|buf|clock).c with the libraries hiredis, ssl and crypto if RANQ_HAVE_OPENSSL is
 * defined. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/facts.h"
#include "store/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t input_seed; /* repeats the input: RANQ_FUZZ_SEED=... RANQ_FUZZ_ROUNDS=1 */

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "violated (seed %llu): %s\n", (unsigned long long)input_seed, what);
	abort();
}

/* ---- replies -------------------------------------------------------------------------------------------------- */

struct outcome {
	size_t replies, items, bytes;
	bool failed;
};

static void measure(const struct ranq_reply *reply, struct outcome *outcome, unsigned depth)
{
	require(depth <= RANQ_FRAME_DEPTH_MAX, "nesting is bounded");
	outcome->items++;
	outcome->bytes += ranq_reply_bytes(reply).len + (size_t)ranq_reply_int(reply) % 1000;
	for (size_t i = 0; i < ranq_reply_count(reply); i++)
		measure(ranq_reply_at(reply, i), outcome, depth + 1);
}

static void take_replies(struct ranq_resp *resp, struct outcome *outcome)
{
	struct ranq_reply *reply;

	while (!outcome->failed) {
		outcome->failed = ranq_resp_next(resp, &reply, NULL) != 0;
		if (outcome->failed || !reply)
			return;
		measure(reply, outcome, 0);
		outcome->replies++;
		ranq_reply_destroy(reply);
	}
}

static struct outcome decode(const uint8_t *data, size_t size, size_t piece)
{
	struct outcome outcome = {0};
	struct ranq_resp resp;

	require(!ranq_resp_init(&resp, NULL), "memory");
	while (size && !outcome.failed) {
		size_t n = size < piece ? size : piece;

		outcome.failed = ranq_resp_feed(&resp, data, n, NULL) != 0;
		take_replies(&resp, &outcome);
		data += n;
		size -= n;
	}
	ranq_resp_clear(&resp);
	return outcome;
}

/* Whole replies before the damage may be seen only in smaller pieces: a piece with damage in it is refused as a whole.
 */
static void fuzz_replies(const uint8_t *data, size_t size)
{
	struct outcome bytewise = decode(data, size, 1), pieces = decode(data, size, 7),
		       whole = decode(data, size, size ? size : 1);

	require(bytewise.failed == pieces.failed && bytewise.failed == whole.failed,
		"pieces do not change what is refused");
	require(pieces.replies <= bytewise.replies && whole.replies <= pieces.replies, "pieces do not invent replies");
	if (bytewise.failed)
		return;
	require(bytewise.replies == whole.replies && bytewise.items == whole.items && bytewise.bytes == whole.bytes,
		"pieces do not change what replies mean");
}

/* ---- URLs ----------------------------------------------------------------------------------------------------- */

static void fuzz_url(const char *url)
{
	const char *at = strrchr(url, '@'), *colon;
	struct ranq_server_addr addr;
	struct ranq_err err = {0};
	char text[512], secret[64];

	ranq_server_addr_init(&addr);
	if (ranq_server_addr_parse(url, &addr, &err)) {
		require(err.text[0] && !strchr(err.text, '\n'), "a refusal is one line");
		colon = at ? memchr(url, '%', (size_t)(at - url)) : NULL;
		if (colon && at - colon >= 12 && at - colon < (int)sizeof secret) {
			memcpy(secret, colon, (size_t)(at - colon));
			secret[at - colon] = '\0';
			require(strstr(at, secret) || !strstr(err.text, secret), "what stands before '@' is not shown");
		}
		return;
	}
	require(!addr.password, "no password comes from a URL");
	snprintf(text, sizeof text, "%s", ranq_server_addr_text(&addr));
	if (strlen(text) < 400) {
		require(!ranq_server_addr_parse(text, &addr, &err), "the text of an address is a URL");
		require(!strcmp(text, ranq_server_addr_text(&addr)), "and means the same");
	}
	ranq_server_addr_clear(&addr);
}

static void fuzz_info(const uint8_t *data, size_t size)
{
	struct ranq_server_facts facts = {0};

	ranq_facts_parse(&facts, (struct ranq_bytes){data, size});
	require(memchr(facts.run_id, 0, sizeof facts.run_id) &&
			memchr(facts.maxmemory_policy, 0, sizeof facts.maxmemory_policy),
		"facts end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);

	require(text, "memory");
	if (size)
		memcpy(text, data, size);
	fuzz_replies(data, size);
	fuzz_info(data, size);
	fuzz_url(text);
	free(text);
	return 0;
}

#ifndef RANQ_LIBFUZZER

static const char *const corpus[] = {
	"+OK\r\n",
	"-ERR no\r\n",
	":-12345\r\n",
	"$5\r\nhello\r\n",
	"$-1\r\n",
	"*-1\r\n",
	"*0\r\n",
	"*3\r\n$3\r\nfoo\r\n:7\r\n*2\r\n+a\r\n-b\r\n",
	"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
	"$0\r\n\r\n+OK\r\n:1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
	"$536870912\r\n",
	"*4194304\r\n",
	"redis://user@host:6379/3",
	"rediss://[fe80::1%25eth0]:7/1",
	"unix:///run/redis.sock?db=2",
	"redis://me:%41%42%43secret-secret@host",
	"redis_version:7.0.15\r\nrun_id:0123456789\r\nmaxmemory:123\r\nmaxmemory_policy:noeviction\r\n",
	"valkey_version:8.0.1\r\naof_enabled:1\r\nloading:0\r\n",
};
#define CORPUS (sizeof corpus / sizeof *corpus)

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

static size_t mutate(uint8_t *data, size_t size, size_t max)
{
	static const char special[] = "\r\n$*:+-0123456789@/?#%[]\0\xff";
	size_t at = size ? draw((uint32_t)size) : 0, other;
	const char *more;

	switch (draw(6)) {
	case 0: /* a byte that matters */
		if (size)
			data[at] = (uint8_t)special[draw(sizeof special)];
		return size;
	case 1: /* any byte */
		if (size)
			data[at] = (uint8_t)draw(256);
		return size;
	case 2: /* a byte less */
		if (size)
			memmove(data + at, data + at + 1, size - at - 1);
		return size ? size - 1 : 0;
	case 3: /* a byte more */
		if (size == max)
			return size;
		memmove(data + at + 1, data + at, size - at);
		data[at] = (uint8_t)special[draw(sizeof special)];
		return size + 1;
	case 4: /* the end is cut off */
		return at;
	default: /* another sample follows */
		more = corpus[draw(CORPUS)];
		other = strlen(more) < max - size ? strlen(more) : max - size;
		memcpy(data + size, more, other);
		return size + other;
	}
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 10) : otherwise;
}

int main(void)
{
	uint64_t rounds = setting("RANQ_FUZZ_ROUNDS", 20000), seed = setting("RANQ_FUZZ_SEED", 1);
	uint8_t data[512];

	for (size_t i = 0; i < CORPUS; i++)
		LLVMFuzzerTestOneInput((const uint8_t *)corpus[i], strlen(corpus[i]));
	for (uint64_t round = 0; round < rounds; round++) {
		const char *sample;
		size_t size;

		state = input_seed = seed + round;
		sample = corpus[draw(CORPUS)];
		size = strlen(sample);
		memcpy(data, sample, size);
		for (uint32_t n = 1 + draw(6); n; n--)
			size = mutate(data, size, sizeof data);
		LLVMFuzzerTestOneInput(data, size);
	}
	printf("%llu inputs from seed %llu\n", (unsigned long long)rounds, (unsigned long long)seed);
	return 0;
}

#endif
