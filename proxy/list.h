/* Circular doubly linked lists whose links live in their members. A link that is in no list points to itself,
 * so that removing it again is harmless. */
#ifndef PROXY_LIST_H
#define PROXY_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *previous;
};

/* The struct whose member `member` is at `link`. */
#define LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->next = list->previous = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

/* Puts link behind `at`, which is a list (then it is the first) or a member. */
static inline void list_add_after(struct list *at, struct list *link)
{
    link->previous = at;
    link->next = at->next;
    at->next->previous = link;
    at->next = link;
}

static inline void list_add_last(struct list *list, struct list *link)
{
    list_add_after(list->previous, link);
}

static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

/* The first member, taken out; NULL if there is none. */
static inline struct list *list_take_first(struct list *list)
{
    struct list *first = list->next;

    if (first == list)
        return NULL;
    list_remove(first);
    return first;
}

#endif
