/* wire.h - what a rank, its fork server and its executors say to each other. All three are built together and run on
 * one host: integers are in host order, the version in HELLO catches a mixed installation.
 *
 * Control socket (rank - ranq-exec): SOCK_SEQPACKET, one struct a packet. SPAWN carries two descriptors: the executor's
 * end of the data socket and its progress page. When it ends, ranq-exec sweeps and exits.
 *
 * Data socket (rank - executor): SOCK_STREAM of frames: struct ranq_wire_head, then `len` bytes.
 *   JOB     u64 job, u8 files (bit 0 module, bit 1 data; that many descriptors travel with the frame, in this order),
 * id sized, spec sized DROP    u64 job RUN     u64 number, job, start, end, i64 end_ms, u32 tries, u32 deaths (both of
 * the first task), u8 flags (bit 0 merge, bit 1 the argument of its only task is a file that travels with the frame), u64 input
 * base, input sized CANCEL  u64 job, i64 grace_ms WARN    u32 signal, i64 grace_ms RESULTS
 * u64 number, from, count, u8 done, u64 elapsed_us, counts u64 x statuses, u64 failures x (index, record sized),
 * segment (rest) SLICE u64 number, task, slice, size, name and salt of the value (record/split.h), bytes (rest): all slices of a
 * result before the RESULTS that have it. u64 and u32 are varints; i64 is a varint of its zigzag form.
 *
 * A run with merge runs no task: its input is the reduced results of its tasks, and what comes back are the same ones
 * joined by the reduce function of the job's module, or nothing.
 *
 * A run is a contiguous part of a chunk, handed to one executor; at most RANQ_WIRE_RUNS are in flight, and they are
 * worked off in order. Runs are numbered from 0 for each executor: number % RANQ_WIRE_RUNS is the run's place in the
 * progress page. */
#ifndef RANQ_EXEC_WIRE_H
#define RANQ_EXEC_WIRE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"

#define RANQ_WIRE_VERSION 8u
#define RANQ_WIRE_RUNS 32u   /* in flight to one executor */
#define RANQ_WIRE_FDS 2u     /* descriptors with one message at most */
#define RANQ_WIRE_CPUS 1024u /* a cpu list, with its NUL */

/* ---- control socket ---------------------------------------------------------------------------------------------- */
enum ranq_control_type {
	RANQ_CONTROL_HELLO = 1, /* server: I am there, value = version */
	RANQ_CONTROL_SPAWN,     /* rank: fork an executor */
	RANQ_CONTROL_KILL,      /* rank: kill executor `id` and the group of its task */
	RANQ_CONTROL_CLOSE,     /* rank: TERM to all tasks, end after value ms */
	RANQ_CONTROL_EXITED,    /* server: executor `id` is gone, value = wait status; or failure = errno of the fork */
};
struct ranq_control {
	uint32_t type, id;
	int32_t value, failure;
	uint32_t slot, ncores;
	int32_t numa_node;
	uint64_t peak;             /* EXITED: most memory that the executor had */
	char cpus[RANQ_WIRE_CPUS]; /* SPAWN only; the packet ends behind the NUL */
};

/* ---- progress page ----------------------------------------------------------------------------------------------- */
enum ranq_phase { RANQ_PHASE_TASK, RANQ_PHASE_LOADING };

/* Shared memory of one executor and its rank. The first line is written by the executor only: two stores a task. User
 * code lives in the same process and may write anything here, so readers check what they read. */
struct ranq_page {
	_Alignas(64) _Atomic uint64_t seq; /* odd while a task (or the loading of a module) runs, or is about to */
	_Atomic uint64_t task;             /* its index; valid while seq is odd */
	_Atomic uint64_t run;              /* number of the run it belongs to */
	_Atomic uint32_t phase;
	_Atomic int32_t group; /* process group of the running command, set before its exec; 0: none */
	char job[96];          /* "QUEUE/7" of the run; changes only while seq is even */
	/* written by the rank */
	struct {
		_Alignas(64) _Atomic uint64_t
			limit;         /* no task from here on is started; lowered by truncate, 0 by cancel and warn */
		_Atomic uint32_t stop; /* the body should return soon */
	} runs[RANQ_WIRE_RUNS];
	_Alignas(64) _Atomic uint64_t timed_out; /* the seq whose time is over */
};

/* ---- data socket ------------------------------------------------------------------------------------------------- */
enum ranq_frame_type {
	RANQ_FRAME_JOB = 1,
	RANQ_FRAME_DROP,
	RANQ_FRAME_RUN,
	RANQ_FRAME_CANCEL,
	RANQ_FRAME_WARN,
	RANQ_FRAME_RESULTS,
	RANQ_FRAME_SLICE,
};
struct ranq_wire_head {
	uint32_t type, len;
};
#define RANQ_JOB_HAS_MODULE 1u
#define RANQ_JOB_HAS_DATA 2u
#define RANQ_RUN_MERGES 1u
#define RANQ_RUN_HAS_ARGUMENT 2u

/* Appends a head whose length is filled in by ranq_wire_end; returns what to give to it. */
size_t ranq_wire_begin(struct ranq_buf *out, enum ranq_frame_type type);
void ranq_wire_end(struct ranq_buf *out, size_t at);
void ranq_wire_add_signed(struct ranq_buf *out, int64_t value);
int64_t ranq_wire_signed(struct ranq_reader *in);

/* Gives the memory of an empty buffer back when one large message has blown it up. */
void ranq_wire_trim(struct ranq_buf *buf);

/* sendmsg with nfds descriptors, no SIGPIPE. As sendmsg. */
long ranq_wire_send(int fd, const void *data, size_t len, const int *fds, unsigned nfds, int flags);
/* recvmsg; at most RANQ_WIRE_FDS descriptors arrive in fds (CLOEXEC; the caller closes them), *nfds of them. As
 * recvmsg. */
long ranq_wire_receive(int fd, void *data, size_t len, int *fds, unsigned *nfds, int flags);

#endif
