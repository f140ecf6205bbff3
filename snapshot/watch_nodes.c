#include "snapshot/watch_nodes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct watch_node **slot_of(const struct watch_nodes *nodes, int wd)
{
    return &nodes->slots[(uint32_t)wd * 2654435761U & (nodes->capacity - 1)];
}

static void free_node(struct watch_node *node)
{
    free(node->name);
    free(node);
}

void watch_nodes_clear(struct watch_nodes *nodes)
{
    for (size_t at = 0; at < nodes->capacity; at++) {
        for (struct watch_node *node = nodes->slots[at], *next; node; node = next) {
            next = node->next;
            free_node(node);
        }
    }
    free(nodes->slots);
    *nodes = (struct watch_nodes){0};
}

struct watch_node *watch_nodes_find(const struct watch_nodes *nodes, int wd)
{
    struct watch_node *node = nodes->capacity > 0 ? *slot_of(nodes, wd) : NULL;

    while (node && node->wd != wd)
        node = node->next;
    return node;
}

static void grow(struct watch_nodes *nodes)
{
    struct watch_nodes grown = {.capacity = nodes->capacity ? nodes->capacity * 2 : 16};

    grown.slots = xcalloc(grown.capacity, sizeof(struct watch_node *));
    for (size_t at = 0; at < nodes->capacity; at++) {
        for (struct watch_node *node = nodes->slots[at], *next; node; node = next) {
            struct watch_node **slot = slot_of(&grown, node->wd);
            next = node->next;
            node->next = *slot;
            *slot = node;
        }
    }
    free(nodes->slots);
    nodes->slots = grown.slots;
    nodes->capacity = grown.capacity;
}

static struct watch_node *add(struct watch_nodes *nodes, int wd)
{
    struct watch_node *node = xcalloc(1, sizeof(*node));
    struct watch_node **slot;

    if (nodes->count == nodes->capacity)
        grow(nodes);
    slot = slot_of(nodes, wd);
    node->wd = wd;
    node->next = *slot;
    *slot = node;
    nodes->count++;
    return node;
}

static bool is_at_or_below(const struct watch_node *node, const struct watch_node *top)
{
    while (node && node != top)
        node = node->parent;
    return node == top;
}

static void attach(struct watch_nodes *nodes, struct watch_node *node, struct watch_node *parent)
{
    nodes->detached -= node->detached_ms != 0;
    node->detached_ms = 0;
    if (node->parent)
        node->parent->children--;
    node->parent = parent;
    if (parent)
        parent->children++;
}

struct watch_node *watch_nodes_set(struct watch_nodes *nodes, int wd, uint64_t inode,
                                   struct watch_node *parent, const char *name)
{
    struct watch_node *node = watch_nodes_find(nodes, wd);

    if (!node)
        node = add(nodes, wd);
    /* A directory below itself: our picture is older than the disk. The events that mend it are on their way.
     */
    if (parent && is_at_or_below(parent, node))
        return node;
    attach(nodes, node, parent);
    free(node->name);
    node->name = xstrdup(name);
    node->inode = inode;
    node->seen = nodes->round;
    return node;
}

void watch_nodes_detach(struct watch_nodes *nodes, struct watch_node *node, uint64_t now_ms)
{
    assert(now_ms > 0);
    attach(nodes, node, NULL);
    node->detached_ms = now_ms;
    nodes->detached++;
}

void watch_nodes_detach_unseen(struct watch_nodes *nodes, uint64_t now_ms)
{
    for (size_t at = 0; at < nodes->capacity; at++)
        for (struct watch_node *node = nodes->slots[at]; node; node = node->next)
            if (node->seen != nodes->round && node->detached_ms == 0)
                watch_nodes_detach(nodes, node, now_ms);
}

static void unlink_node(struct watch_nodes *nodes, const struct watch_node *node)
{
    struct watch_node **link = slot_of(nodes, node->wd);

    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    nodes->count--;
}

/* All that is at or below top. Looks at every node there is, which only the rare directory that goes together
 * with others below it is worth. */
static struct watch_node **subtree(const struct watch_nodes *nodes, const struct watch_node *top,
                                   size_t *ret_count)
{
    struct watch_node **found = xcalloc(nodes->count, sizeof(struct watch_node *));
    size_t count = 0;

    for (size_t at = 0; at < nodes->capacity; at++)
        for (struct watch_node *node = nodes->slots[at]; node; node = node->next)
            if (is_at_or_below(node, top))
                found[count++] = node;
    *ret_count = count;
    return found;
}

void watch_nodes_remove(struct watch_nodes *nodes, struct watch_node *node,
                        void (*gone)(void *context, int wd), void *context)
{
    struct watch_node *alone[1] = {node};
    struct watch_node **doomed = alone;
    size_t count = 1;

    attach(nodes, node, NULL);
    if (node->children > 0)
        doomed = subtree(nodes, node, &count);
    for (size_t at = 0; at < count; at++) {
        unlink_node(nodes, doomed[at]);
        gone(context, doomed[at]->wd);
        free_node(doomed[at]);
    }
    if (doomed != alone)
        free(doomed);
}

static struct watch_node *find_detached(const struct watch_nodes *nodes, uint64_t until_ms)
{
    for (size_t at = 0; at < nodes->capacity; at++)
        for (struct watch_node *node = nodes->slots[at]; node; node = node->next)
            if (node->detached_ms > 0 && node->detached_ms <= until_ms)
                return node;
    return NULL;
}

void watch_nodes_remove_detached(struct watch_nodes *nodes, uint64_t until_ms,
                                 void (*gone)(void *context, int wd), void *context)
{
    struct watch_node *node;

    while (nodes->detached > 0 && (node = find_detached(nodes, until_ms)))
        watch_nodes_remove(nodes, node, gone, context);
}

bool watch_node_path(const struct watch_node *node, struct buf *path)
{
    const struct watch_node *chain[2048]; /* as deep as a path of TREE_PATH_MAX bytes can be */
    size_t depth = 0;

    buf_reset(path);
    for (; node->parent; node = node->parent) {
        if (depth == sizeof(chain) / sizeof(chain[0]))
            return false;
        chain[depth++] = node;
    }
    if (node->detached_ms > 0)
        return false;
    while (depth > 0) {
        buf_add_text(path, chain[--depth]->name);
        buf_add_text(path, depth > 0 ? "/" : "");
    }
    return true;
}
