/* orphans.h - what joins that were killed together with their launcher have left on this host. */
#ifndef RANQ_LAUNCHER_ORPHANS_H
#define RANQ_LAUNCHER_ORPHANS_H

/* Kills every process of ours that carries the mark of a join of this host that is gone, unless a launcher or rank is
 * still among them: that bridge drains and is left alone. host: as in the marks. */
void ranq_orphans_sweep(const char *host);

#endif
