/* offload.h - results that are too large for the server: in files of a directory that all nodes and the reader see.
 *
 * DIR/ranq-UUID/ab/HASH: the job's uuid, the SHA-256 of the content in hex, its first two digits. A file of that name is
 * whole: it gets the name by rename, when it is on disk. What a dead writer leaves is called tmp.RANDOM. Everything below
 * DIR is readable by its owner only and goes with the job; DIR itself is never made or removed.
 * A result says only length and hash of its file, so nothing that the server stores leads a reader to another path than
 * the job's own, or makes it accept another content. */
#ifndef RANQ_RECORD_OFFLOAD_H
#define RANQ_RECORD_OFFLOAD_H

#include "record/segment.h"
#include "record/spec.h"

#define RANQ_OFFLOAD_MIN ((size_t)1 << 20) /* results of more bytes go to a file */

/* Has the job results that may go to files? */
bool ranq_offload_wanted(const struct ranq_spec *spec);
/* The most bytes of a result that can come to the server. */
uint64_t ranq_offload_kept(const struct ranq_spec *spec);

/* A file being written. These functions leave why they failed in errno. */
struct ranq_offload_file;
/* *made: this process has made or seen the job's directory. It is made only once, so that a task that outlives its job does
 * not bring it back. */
struct ranq_offload_file *ranq_offload_begin(const struct ranq_spec *spec, bool *made);
int ranq_offload_add(struct ranq_offload_file *file, const void *data, size_t len);
/* Gives the file its name. It is gone, and so is `file`, also after a failure. */
int ranq_offload_finish(struct ranq_offload_file *file, struct ranq_file_ref *ref);
void ranq_offload_discard(struct ranq_offload_file *file); /* takes NULL */

/* Maps a file after its length and content were compared with ref; the message names it. */
int ranq_offload_open(
	const struct ranq_spec *spec, const struct ranq_file_ref *ref, struct ranq_bytes *value, struct ranq_err *err);
void ranq_offload_close(struct ranq_bytes *value); /* takes one that was never opened, all zero */
/* Removes the job's directory. Nothing there to remove is fine; that DIR itself is not here is not, nor is a rest that is
 * there at until_ms of ranq_clock_ms(). Several may remove it at once; each of them may say that something is left. */
int ranq_offload_remove(const struct ranq_spec *spec, int64_t until_ms, struct ranq_err *err);

#endif
