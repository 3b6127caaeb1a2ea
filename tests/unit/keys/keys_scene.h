/* SPDX-License-Identifier: Apache-2.0 */
/* keys_scene.h — keys with a pepper of their own, on a store in memory. */
#ifndef TESTS_KEYS_SCENE_H
#define TESTS_KEYS_SCENE_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keys/key_pepper.h"
#include "keys/keys_change.h"

#define NOW ((wall_us){INT64_C(1795489200000000)})

struct fixture {
    char folder[32], pepper[48];
    struct store *store;
    struct keys *keys;
    struct keys_report report;
};

static inline int start(void **state)
{
    static struct fixture f;
    const struct store_settings settings = {.driver = "memory"};
    memset(&f, 0, sizeof(f));
    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/atlas-keys-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    (void)snprintf(f.pepper, sizeof(f.pepper), "%s/pepper", f.folder);
    assert_int_equal(key_pepper_make(f.pepper), ERR_OK);
    assert_int_equal(store_open(&settings, &f.store), ERR_OK);
    assert_int_equal(keys_open(f.pepper, &f.keys), ERR_OK);
    *state = &f;
    return 0;
}

static inline int stop(void **state)
{
    struct fixture *f = *state;
    keys_close(&f->keys);
    keys_close(&f->keys);
    store_close(&f->store);
    (void)unlink(f->pepper);
    return rmdir(f->folder);
}

#endif
