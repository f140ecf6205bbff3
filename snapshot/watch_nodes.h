/* The watched directories: what inotify's watch descriptors stand for. Each knows its parent and its name
 * there, so a renamed directory takes everything below it along without a second look. About 100 bytes for
 * each directory. Private to watch.c. */
#ifndef SNAPSHOT_WATCH_NODES_H
#define SNAPSHOT_WATCH_NODES_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch_node {
    struct watch_node *next;   /* in the same slot of the table */
    struct watch_node *parent; /* NULL: the top, or detached */
    char *name;                /* in the parent; "" is the top */
    uint64_t inode;
    uint64_t detached_ms; /* when it left the tree; 0: it is in it */
    uint32_t children;
    uint32_t seen; /* the round of nodes in which it was set last */
    int wd;
};

struct watch_nodes {
    struct watch_node **slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    size_t detached;
    uint32_t round;
};

void watch_nodes_clear(struct watch_nodes *nodes);
struct watch_node *watch_nodes_find(const struct watch_nodes *nodes, int wd);
/* Adds the node, or moves the one that there is, with all that is below it. parent NULL: the top. */
struct watch_node *watch_nodes_set(struct watch_nodes *nodes, int wd, uint64_t inode,
                                   struct watch_node *parent, const char *name);
/* Takes it out of the tree, with all that is below it: nobody knows where it went. */
void watch_nodes_detach(struct watch_nodes *nodes, struct watch_node *node, uint64_t now_ms);
/* The same for all that was not set since the round was begun. */
void watch_nodes_detach_unseen(struct watch_nodes *nodes, uint64_t now_ms);
/* Forgets the node and whatever is below it, telling the descriptor of each. */
void watch_nodes_remove(struct watch_nodes *nodes, struct watch_node *node,
                        void (*gone)(void *context, int wd), void *context);
/* The same for what was detached at or before this time. */
void watch_nodes_remove_detached(struct watch_nodes *nodes, uint64_t until_ms,
                                 void (*gone)(void *context, int wd), void *context);
/* Replaces *path by the node's, "" for the top. False if it, or something above it, is detached. */
bool watch_node_path(const struct watch_node *node, struct buf *path);

#endif
