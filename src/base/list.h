/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h — a doubly linked list whose links lie in the members.
 *
 * A list head and a member's node are the same struct. A node that is on no list points at itself.
 *
 * Ownership  none: a list owns no member.
 * Threads    one at a time.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

/* The struct of `type` whose member `name` is the node `node`. */
#define LIST_OF(node, type, name) ((type *)(void *)((char *)(node)-offsetof(type, name)))

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_add_before(struct list *at, struct list *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

/* Appends to the list whose head is `l`. */
static inline void list_push_back(struct list *l, struct list *node)
{
    list_add_before(l, node);
}

static inline void list_push_front(struct list *l, struct list *node)
{
    list_add_before(l->next, node);
}

/* Takes `node` off its list; does nothing if it is on none. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Appends all of `from`, in their order, and leaves it empty. */
static inline void list_move_all(struct list *to, struct list *from)
{
    if (!list_is_empty(from)) {
        from->next->prev = to->prev;
        to->prev->next = from->next;
        from->prev->next = to;
        to->prev = from->prev;
        list_init(from);
    }
}

/* Takes the first node off, or returns NULL. */
static inline struct list *list_pop_front(struct list *l)
{
    struct list *first = l->next;
    if (first == l) {
        return NULL;
    }
    list_remove(first);
    return first;
}

#endif
