/* The in-process link, the bell between processes, shared blobs, and who is on which node. */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/bell.h"
#include "bridge/blobs.h"
#include "bridge/link_local.h"
#include "bridge/nodes.h"
#include "bridge/worker.h"
#include "util/clock.h"

struct seen {
	int n, src[64], files;
	char text[64][32];
	char note[32];
	int fd;
};

static void on_message(void *arg, int src, const void *data, size_t len)
{
	struct seen *seen = arg;

	ck_assert_int_lt(seen->n, 64);
	ck_assert_uint_lt(len, 32);
	seen->src[seen->n] = src;
	memcpy(seen->text[seen->n], data, len);
	seen->text[seen->n++][len] = 0;
}

static void on_file(void *arg, int src, int fd, const void *data, size_t len)
{
	struct seen *seen = arg;

	(void)src;
	seen->files++;
	seen->fd = fd;
	memcpy(seen->note, data, len);
	seen->note[len] = 0;
}

static void send_text(struct ranq_link *link, int dst, const char *text)
{
	struct ranq_buf buf;
	struct ranq_err err;

	ranq_buf_init(&buf, 0);
	ranq_buf_add_str(&buf, text);
	ck_assert_int_eq(ranq_link_send(link, dst, &buf, &err), 0);
	ck_assert_ptr_null(buf.data);
}

static bool readable(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	return poll(&p, 1, 0) == 1;
}

START_TEST(local_messages)
{
	struct ranq_link *links[3];
	struct seen seen[3] = {0};
	struct ranq_err err;

	ck_assert_int_eq(ranq_link_local_open(3, NULL, links, &err), 0);
	for (int r = 0; r < 3; r++)
		links[r]->handler = (struct ranq_link_handler){on_message, on_file, &seen[r]};
	ck_assert(!readable(ranq_link_fd(links[1])));
	ck_assert_int_eq(ranq_link_deadline_ns(links[1]), RANQ_NEVER);
	send_text(links[0], 1, "a");
	send_text(links[2], 1, "b");
	send_text(links[1], 1, "self");
	ck_assert(readable(ranq_link_fd(links[1])));
	ck_assert_int_eq(ranq_link_pump(links[1], &err), 0);
	ck_assert_int_eq(seen[1].n, 3);
	ck_assert_str_eq(seen[1].text[0], "a");
	ck_assert_int_eq(seen[1].src[1], 2);
	ck_assert_str_eq(seen[1].text[2], "self");
	ck_assert(!readable(ranq_link_fd(links[1])));
	/* a cut rank neither hears nor is heard; a closed one is silent as well */
	ranq_link_local_cut(links[2], true);
	send_text(links[2], 0, "lost");
	send_text(links[0], 2, "lost");
	ranq_link_close(links[1], 0);
	send_text(links[0], 1, "lost");
	ck_assert_int_eq(ranq_link_pump(links[0], &err), 0);
	ck_assert_int_eq(ranq_link_pump(links[2], &err), 0);
	ck_assert_int_eq(seen[0].n + seen[2].n, 0);
	ranq_link_close(links[0], 0);
	ranq_link_close(links[2], 0);
}
END_TEST

START_TEST(local_files_stay_on_the_node)
{
	static const int node[3] = {0, 0, 1};
	struct ranq_link *links[3];
	struct seen seen = {0};
	struct ranq_err err;
	int fd = memfd_create("t", MFD_CLOEXEC);

	ck_assert_int_eq(ranq_link_local_open(3, node, links, &err), 0);
	links[1]->handler = (struct ranq_link_handler){on_message, on_file, &seen};
	ck_assert_int_eq(ranq_link_send_file(links[0], 2, fd, "n", 1, &err), -1);
	ck_assert_int_eq(ranq_link_send_file(links[0], 1, fd, "note", 4, &err), 0);
	ck_assert_int_eq(ranq_link_pump(links[1], &err), 0);
	ck_assert_int_eq(seen.files, 1);
	ck_assert_str_eq(seen.note, "note");
	ck_assert_int_ne(seen.fd, fd);
	close(seen.fd);
	close(fd);
	/* a descriptor that nobody took is closed with the link (the sanitizer's and Check's fd count would tell) */
	fd = memfd_create("t", MFD_CLOEXEC);
	ck_assert_int_eq(ranq_link_send_file(links[0], 1, fd, "note", 4, &err), 0);
	close(fd);
	for (int r = 0; r < 3; r++)
		ranq_link_close(links[r], 0);
}
END_TEST

static void bell_id(char id[40])
{
	snprintf(id, 40, "test-%ld-%llx", (long)getpid(), (unsigned long long)ranq_clock_ns());
}

START_TEST(bell_between_ranks)
{
	struct ranq_bell a, b;
	struct ranq_bell_note note;
	struct ranq_err err;
	char id[40];
	int fd = memfd_create("t", MFD_CLOEXEC);

	bell_id(id);
	ck_assert_int_eq(ranq_bell_open(&a, id, 0, &err), 0);
	ck_assert_int_eq(ranq_bell_open(&b, id, 1, &err), 0);
	ck_assert_int_eq(ranq_bell_read(&b, &note), 0);
	ck_assert_int_eq(ranq_bell_ring(&a, 1, 0, 42, -1, NULL, 0), 0);
	ck_assert_int_eq(ranq_bell_ring(&a, 1, 0, 43, fd, "blob", 4), 0);
	ck_assert(readable(b.fd));
	ck_assert_int_eq(ranq_bell_read(&b, &note), 1);
	ck_assert(note.src == 0 && note.count == 42 && note.fd == -1);
	ck_assert_int_eq(ranq_bell_read(&b, &note), 1);
	ck_assert(note.count == 43 && note.fd >= 0 && note.len == 4);
	ck_assert_mem_eq(note.data, "blob", 4);
	close(note.fd);
	close(fd);
	/* nobody there: not an error; full: "later" */
	ck_assert_int_eq(ranq_bell_ring(&a, 7, 0, 1, -1, NULL, 0), 0);
	int rings = 0;
	while (ranq_bell_ring(&a, 1, 0, 1, -1, NULL, 0) == 0 && rings < 1000000)
		rings++;
	ck_assert_int_lt(rings, 1000000);
	ranq_bell_close(&a);
	ranq_bell_close(&b);
}
END_TEST

START_TEST(bell_skips_what_is_not_ours)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct ranq_bell bell;
	struct ranq_bell_note note;
	struct ranq_err err;
	char id[40];
	int fd, n;

	bell_id(id);
	ck_assert_int_eq(ranq_bell_open(&bell, id, 0, &err), 0);
	n = snprintf(sa.sun_path + 1, sizeof sa.sun_path - 1, "ranq-%s-0", id);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(sendto(fd, "garbage that is long enough", 27, 0, (struct sockaddr *)&sa,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)),
		27);
	ck_assert_int_eq(sendto(fd, "", 0, 0, (struct sockaddr *)&sa,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)),
		0);
	close(fd);
	if (geteuid() == 0) {
		/* the same datagram, well formed, from another user */
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			struct ranq_bell other = {.fd = socket(AF_UNIX, SOCK_DGRAM, 0), .rank = 1};

			snprintf(other.id, sizeof other.id, "%s", id);
			_exit(setgid(65534) || setuid(65534) ? 1 : ranq_bell_ring(&other, 0, 1, 99, -1, NULL, 0));
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		ck_assert(readable(bell.fd));
	}
	ck_assert_int_eq(ranq_bell_read(&bell, &note), 0);
	ranq_bell_close(&bell);
}
END_TEST

START_TEST(blobs)
{
	struct ranq_blobs *all = ranq_blobs_create();
	struct ranq_err err;
	unsigned char note[RANQ_LINK_NOTE_MAX];
	uint64_t number, total;
	char text[8] = "";
	bool whole;
	int fd;

	ck_assert_int_eq(ranq_blobs_fd(all, 1), -1);
	ck_assert_int_eq(ranq_blobs_piece(all, 1, 6, 0, "abc", 3, &whole, &err), 0);
	ck_assert(!whole && ranq_blobs_fd(all, 1) == -1);
	ck_assert_int_eq(ranq_blobs_piece(all, 1, 6, 2, "xxx", 3, &whole, &err), -1); /* out of order */
	ck_assert_int_eq(ranq_blobs_piece(all, 1, 7, 3, "def", 3, &whole, &err), -1); /* another size */
	ck_assert_int_eq(ranq_blobs_piece(all, 2, 7, 3, "def", 3, &whole, &err), -1); /* no beginning */
	ck_assert_int_eq(ranq_blobs_piece(all, 1, 6, 3, "def", 3, &whole, &err), 0);
	ck_assert(whole);
	fd = ranq_blobs_fd(all, 1);
	ck_assert_int_eq(pread(fd, text, 7, 0), 6);
	ck_assert_str_eq(text, "abcdef");
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1); /* sealed */
	/* handed on as a descriptor */
	ck_assert_int_eq(ranq_blobs_adopt(all, 3, 5, dup(fd), &err), -1); /* wrong size */
	ck_assert_int_eq(ranq_blobs_adopt(all, 3, 6, dup(fd), &err), 0);
	ck_assert_int_eq(ranq_blobs_adopt(all, 3, 6, dup(fd), &err), 0);
	ck_assert_int_ge(ranq_blobs_fd(all, 3), 0);
	/* all of it again */
	ck_assert_int_eq(ranq_blobs_piece(all, 1, 6, 0, "abc", 3, &whole, &err), 0);
	ck_assert(!whole && ranq_blobs_fd(all, 1) == fd);
	ck_assert_int_eq(ranq_blobs_piece(all, 1, 6, 3, "def", 3, &whole, &err), 0);
	ck_assert(whole);
	ck_assert_int_eq(ranq_blobs_piece(all, 1, 6, 4, "def", 3, &whole, &err), -1);
	/* begun anew in the middle */
	ck_assert_int_eq(ranq_blobs_piece(all, 5, 6, 0, "uvw", 3, &whole, &err), 0);
	ck_assert_int_eq(ranq_blobs_piece(all, 5, 6, 0, "abc", 3, &whole, &err), 0);
	ck_assert_int_eq(ranq_blobs_piece(all, 5, 6, 3, "def", 3, &whole, &err), 0);
	ck_assert(whole);
	ck_assert_int_eq(pread(ranq_blobs_fd(all, 5), text, 7, 0), 6);
	ck_assert_str_eq(text, "abcdef");
	/* an empty one */
	ck_assert_int_eq(ranq_blobs_piece(all, 4, 0, 0, "", 0, &whole, &err), 0);
	ck_assert(whole && ranq_blobs_fd(all, 4) >= 0);
	ranq_blobs_forget(all, 1);
	ck_assert_int_eq(ranq_blobs_fd(all, 1), -1);
	ranq_blobs_destroy(all);
	size_t len = ranq_blob_note_encode(note, 17, UINT64_C(1) << 40);
	ck_assert_int_eq(ranq_blob_note_decode(note, len, &number, &total), 0);
	ck_assert(number == 17 && total == UINT64_C(1) << 40);
	ck_assert_int_eq(ranq_blob_note_decode(note, len - 1, &number, &total), -1);
	ck_assert_int_eq(ranq_blob_note_decode("", 0, &number, &total), -1);
}
END_TEST

START_TEST(nodes)
{
	struct ranq_rank_facts all[5];
	int node[5];

	for (int r = 0; r < 5; r++)
		ranq_rank_facts_init(&all[r]);
	ck_assert_str_ne(all[0].host, "");
	ck_assert_int_eq(ranq_nodes_number(all, 5, node), 1);
	snprintf(all[1].node, sizeof all[1].node, "other");
	snprintf(all[3].node, sizeof all[3].node, "other");
	snprintf(all[4].node, sizeof all[4].node, "third");
	ck_assert_int_eq(ranq_nodes_number(all, 5, node), 3);
	ck_assert(node[0] == 0 && node[1] == 1 && node[2] == 0 && node[3] == 1 && node[4] == 2);
	ck_assert_int_eq(ranq_nodes_lowest(node, 5, 3), 1);
	ck_assert_int_eq(ranq_nodes_leader(node, 5, 0, 1), 2); /* rank 0 does not compute */
	ck_assert(ranq_nodes_pid_alive(getpid()));
	memset(all[0].host, 'x', sizeof all[0].host);
	ranq_rank_facts_check(&all[0]);
	ck_assert_uint_eq(strlen(all[0].host), sizeof all[0].host - 1);
}
END_TEST

START_TEST(a_zombie_is_not_alive)
{
	pid_t pid = fork();
	siginfo_t info;

	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert(!ranq_nodes_pid_alive(pid));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert(!ranq_nodes_pid_alive(pid));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("link");
	TCase *tcase = tcase_create("link");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, local_messages);
	tcase_add_test(tcase, local_files_stay_on_the_node);
	tcase_add_test(tcase, bell_between_ranks);
	tcase_add_test(tcase, bell_skips_what_is_not_ours);
	tcase_add_test(tcase, blobs);
	tcase_add_test(tcase, nodes);
	tcase_add_test(tcase, a_zombie_is_not_alive);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
