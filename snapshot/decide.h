/* Local or remote at start: the table of docs/DESIGN.md as a pure function. */
#ifndef SNAPSHOT_DECIDE_H
#define SNAPSHOT_DECIDE_H

#include "snapshot/engine.h"
#include "snapshot/state.h"

struct decide_facts {
    bool store_empty; /* log/, base/ and pack/ list nothing and holdfast.json is absent: the listing succeeded
                         and said so */
    bool has_base;    /* a base is announced */
    bool directory_empty; /* apart from .holdfast, lost+found and what is excluded */
    bool has_state;       /* a state file that could be read */
    bool same_lineage;    /* … and it is of this store's lineage */
    bool answered;        /* … and its backend has answered at least once */
    bool restoring;       /* … and a restore was under way */
    bool
        shipped_last; /* the last record that changed data is the one this directory shipped or was sending */
    bool rolls_back;  /* a point is asked for, and the log doesn't say that this was carried out */
    enum engine_adopt adopt;
};

enum decision {
    DECIDE_FIRST_BOOT,
    DECIDE_NEW_FIRST_BOOT, /* an unfinished first boot: set the directory aside first */
    DECIDE_ADOPT,          /* what is there becomes the first base */
    DECIDE_NEW_LINEAGE, /* the same with HOLDFAST_ADOPT=local where the state file belongs to another store */
    DECIDE_KEEP_IF_PROVED, /* keep local if the databases prove it, else DECIDE_RESTORE_OVER */
    DECIDE_KEEP,           /* keep local without proof: the operator said so, or the store has nothing */
    DECIDE_RESTORE,        /* into an empty directory, or over a restore that was cut off */
    DECIDE_RESTORE_OVER,   /* remote wins: fetch, set what differs aside */
};

/* ERR_CONFIG where the table refuses, in one sentence with the remedy. */
bool decide_start(const struct decide_facts *facts, enum decision *ret_decision, struct err *err) CHECKED;

#endif
