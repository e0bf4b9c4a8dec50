/* login.h - the first commands of a connection: AUTH, SELECT, INFO, in one round trip. */
#ifndef RANQ_STORE_LOGIN_H
#define RANQ_STORE_LOGIN_H

#include "store/conn.h"

int ranq_login(struct ranq_conn *conn, const struct ranq_server_addr *addr, int64_t deadline_ms,
	struct ranq_server_facts *facts, struct ranq_err *err);

#endif
