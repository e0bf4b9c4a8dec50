/* normal.h - quantiles of the standard normal distribution.
 * Source: M. J. Wichura, Algorithm AS 241, Applied Statistics 37 (1988) 477, routine PPND16 (about 16 digits). */
#ifndef RANQ_RECORD_NORMAL_H
#define RANQ_RECORD_NORMAL_H

/* p in (0, 1). */
double ranq_normal_quantile(double p);

#endif
