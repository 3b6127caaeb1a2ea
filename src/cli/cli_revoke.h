/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_revoke.h — ends a key with nothing but the data folder, whatever else is wrong.
 *
 * A gateway that runs is asked first. One that does not answer within CLI_REVOKE_WAIT_MS, or that
 * cannot write, is not waited for: the key is written into the file of revoked keys
 * (keys/key_deny.h), which a running gateway looks at several times a second and one that starts
 * reads before it serves.
 *
 * Threads    the main thread.
 */
#ifndef CLI_CLI_REVOKE_H
#define CLI_CLI_REVOKE_H

#include "base/span.h"

#define CLI_REVOKE_WAIT_MS 500

/*
 * Revokes the key of this id in the data folder `folder`. Its exit status is CLI_DONE if and only
 * if the revocation holds; it has said on standard error what is wrong all the same.
 */
int cli_revoke(const char *folder, struct span id);

#endif
